"""Files on disk: locked by one process, appended to line by line, kept through a power cut."""

import errno
import fcntl
import io
import os
from collections.abc import Iterable
from pathlib import Path


def open_locked(path: Path) -> io.FileIO:
    """Open `path` for reading and writing, unbuffered and locked; create it if it is missing.

    The lock is released with the file, however the process ends. Raises OSError: BlockingIOError
    when another process holds the lock.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)  # less the umask
    file = os.fdopen(descriptor, "r+b", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        if isinstance(error, BlockingIOError):
            raise BlockingIOError(f"{path} is in use by another program") from None
        raise
    return file


def sync_directory(path: Path) -> None:
    """Force the names in a directory to the disk (fsync). Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class AppendOnlyFile:
    """A file of lines that only grows, and is now and then replaced by a shorter one.

    An appended line survives the end of the process. The kernel has it, but it is not forced to the
    disk: a power cut may cost the newest lines. The file is made with mode 0600. Raises OSError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _open_to_append(path)
        try:
            self.size = os.fstat(self._file).st_size
        except BaseException:
            self.close()
            raise

    def read(self) -> list[bytes]:
        """Return all lines. Cut off an incomplete last one, which a killed writer left."""
        with self._path.open("rb") as file:
            *lines, incomplete = file.read().split(b"\n")
        if incomplete:
            self.size -= len(incomplete)
            os.ftruncate(self._file, self.size)
        return lines

    def append(self, line: bytes) -> None:
        """Append one line; if that fails, the file stays as it was."""
        ended = line + b"\n"
        try:
            if os.write(self._file, ended) < len(ended):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            os.ftruncate(self._file, self.size)
            raise
        self.size += len(ended)

    def replace(self, lines: Iterable[bytes]) -> None:
        """Replace the content by `lines`; a crash leaves either the old ones or these."""
        new_path = self._path.with_name(f"{self._path.name}.new")
        new_path.unlink(missing_ok=True)
        file = _open_to_append(new_path)
        try:
            content = b"".join(line + b"\n" for line in lines)
            with open(file, "wb", closefd=False) as stream:
                stream.write(content)
            # Or a power cut could leave the new name on an empty file.
            os.fsync(file)
            new_path.replace(self._path)
        except BaseException:
            os.close(file)
            raise
        self.close()
        self._file, self.size = file, len(content)

    def close(self) -> None:
        """Close the file; nothing can be appended any more."""
        os.close(self._file)
        self._file = -1


def _open_to_append(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
