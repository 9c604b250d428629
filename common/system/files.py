"""Files that one process at a time may write.

A file of rows that only grows, and is now and then replaced by a shorter one.

What was appended is there whatever becomes of the process. It is handed to the kernel and not
forced to the disk, so a power cut may cost the newest rows.

"""

import errno
import fcntl
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO


def open_locked(path: Path) -> BinaryIO:
    """Open `path` for reading and writing, without a buffer, made where it is missing.

    The lock goes with the file, however the process ends. Raises OSError; BlockingIOError when
    another program holds it.
    """
    path.touch()
    file = path.open("r+b", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise BlockingIOError(f"{path} is in use by another program") from None
    return file


class AppendOnlyFile:
    """One open file; `path` is made with mode 0600. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _open(path)
        try:
            self.size = os.fstat(self._file).st_size
        except BaseException:
            self.close()
            raise

    def read(self) -> list[bytes]:
        """Return all rows, and drop the part of one that a killed writer left at the end."""
        with self._path.open("rb") as file:
            *rows, incomplete = file.read().split(b"\n")
        if incomplete:
            self.size -= len(incomplete)
            os.ftruncate(self._file, self.size)
        return rows

    def append(self, row: bytes) -> None:
        """Add one row; when that fails the file is as it was."""
        line = row + b"\n"
        try:
            if os.write(self._file, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            os.ftruncate(self._file, self.size)
            raise
        self.size += len(line)

    def replace(self, rows: Iterable[bytes]) -> None:
        """Have only `rows` from now on; a crash leaves either the old ones or these."""
        new_path = self._path.with_name(f"{self._path.name}.new")
        new_path.unlink(missing_ok=True)
        file = _open(new_path)
        try:
            content = b"".join(row + b"\n" for row in rows)
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


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
