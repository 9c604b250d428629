"""Open files: not too many at once, and none closed while its bytes are on their way.

Reading and writing files whole, with errors that say what to do.
"""

import errno
import hashlib
import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Lock
from typing import Final, NamedTuple, Self

from chatctl.errors import PartialError, why
from common.manifest import PIECE_SIZE

MAX_OPEN_FILES: Final = 128
"""Files that are kept open; a process may often have 1,024, sockets among them."""


class FileHandle:
    """An open file, closed when nobody refers to it any more."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def open(cls, path: Path, flags: int) -> Self:
        """Open a file; raises OSError."""
        return cls(os.open(path, flags | os.O_CLOEXEC, 0o666))  # the umask takes of that

    def fileno(self) -> int:
        """Return the descriptor, good as long as this object is kept."""
        return self._descriptor

    def __del__(self) -> None:
        os.close(self._descriptor)


class Location(NamedTuple):
    """Bytes to send: `length` of them from `offset` of `file`. Keep it until they are sent."""

    file: FileHandle
    offset: int
    length: int


class FileHandleCache:
    """The files used last, open, for any thread."""

    def __init__(self, limit: int = MAX_OPEN_FILES) -> None:
        self._limit = limit
        self._handles: OrderedDict[Path, FileHandle] = OrderedDict()
        self._lock = Lock()

    def get(self, path: Path, flags: int) -> FileHandle:
        """Return the file at `path`, opened with `flags` unless it is open; raises OSError."""
        with self._lock:
            handle = self._handles.get(path)
            if handle is None:
                handle = self._handles[path] = FileHandle.open(path, flags)
                if len(self._handles) > self._limit:
                    self._handles.popitem(last=False)
            else:
                self._handles.move_to_end(path)
            return handle

    def evict(self, *paths: Path) -> None:
        """Let go of files; who has one in use keeps it."""
        with self._lock:
            for path in paths:
                self._handles.pop(path, None)

    def clear(self) -> None:
        """Let go of all files."""
        with self._lock:
            self._handles.clear()


_CHUNK: Final = 16 * PIECE_SIZE
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# FAT says the first, other filesystems without hard links one of the others.
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


class DiskError(PartialError):
    """A file could not be read or written."""


class DiskFullError(DiskError):
    """There is no room for a file; what was written before is still there."""


class StorageCancelledError(Exception):
    """What takes long was left unfinished, since the program ends."""


@contextmanager
def explain_os_errors(path: Path) -> Iterator[None]:
    """Raise DiskFullError or DiskError, which name `path`, for every OSError within."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFullError(
                f"no room for {path} ({why(error)}); what has come is kept: "
                "make room, and share again"
            ) from error
        raise DiskError(f"cannot use {path}: {why(error)}") from error


def write_all(file: FileHandle, content: bytes | bytearray | memoryview, offset: int) -> None:
    """Write all of `content` at `offset` (bytes); raises OSError."""
    rest = memoryview(content)
    while rest:
        written = os.pwrite(file.fileno(), rest, offset)
        rest, offset = rest[written:], offset + written


def chunks(file: FileHandle, size: int, stop: Event) -> Iterator[memoryview]:
    """Yield the first `size` bytes of a file, a MiB at a time, all in one buffer.

    Every chunk but the last is a MiB; they end early if the file does. Raises
    OSError, and Stopped when `stop` is set.
    """
    buffer = memoryview(bytearray(min(size, _CHUNK)))
    for offset in range(0, size, _CHUNK):
        if stop.is_set():
            raise StorageCancelledError
        chunk, got = buffer[: size - offset], 0
        while got < len(chunk) and (more := os.preadv(file.fileno(), [chunk[got:]], offset + got)):
            got += more
        yield chunk[:got]
        if got < len(chunk):
            return


def sha256(file: FileHandle, size: int, stop: Event) -> str:
    """Return the SHA-256, in hex, of the first `size` bytes of a file; raises as `chunks` does."""
    whole = hashlib.sha256()
    for chunk in chunks(file, size, stop):
        whole.update(chunk)
    return whole.hexdigest()


def publish(path: Path, candidates: Iterable[Path]) -> Path:
    """Give the file at `path` the first of the names that is free, and return that.

    Nothing is overwritten, whoever creates files at the same time. The old name may stay, as a
    second one, and should be removed. Raises OSError.
    """
    for candidate in candidates:
        with suppress(FileExistsError):
            try:
                os.link(path, candidate, follow_symlinks=False)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                candidate.touch(exist_ok=False)  # holds the name until it is replaced
                path.replace(candidate)
            return candidate
    raise AssertionError("names never end")
