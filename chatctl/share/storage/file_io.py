"""File access for shares: open files, whole reads and writes, and errors that say what to do."""

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
"""Files that are kept open; many systems allow a process 1,024, sockets included."""

_CHUNK: Final = 16 * PIECE_SIZE
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# FAT says the first, other filesystems without hard links one of the others.
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


class DiskError(PartialError):
    """A file could not be read or written."""


class DiskFullError(DiskError):
    """There is no space for a file; what was written before is still there."""


class StorageCancelledError(Exception):
    """A long operation was cancelled, because the program ends."""


class FileHandle:
    """An open file; it is closed when the last reference goes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def open(cls, path: Path, flags: int) -> Self:
        """Open a file; raises OSError."""
        return cls(os.open(path, flags | os.O_CLOEXEC, 0o666))  # less what the umask forbids

    def fileno(self) -> int:
        """Return the file descriptor, valid as long as this object exists."""
        return self._descriptor

    def __del__(self) -> None:
        os.close(self._descriptor)


class Location(NamedTuple):
    """Where bytes are: `length` of them from `offset` on in `file`, which it keeps open."""

    file: FileHandle
    offset: int
    length: int


class FileHandleCache:
    """A cache of open files (least recently used first out), for any thread."""

    def __init__(self, limit: int = MAX_OPEN_FILES) -> None:
        self._limit = limit
        self._handles: OrderedDict[Path, FileHandle] = OrderedDict()
        self._lock = Lock()

    def get(self, path: Path, flags: int) -> FileHandle:
        """Return the file at `path`, opened with `flags` unless it is cached; raises OSError."""
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
        """Remove files from the cache; a file in use stays open until it is released."""
        with self._lock:
            for path in paths:
                self._handles.pop(path, None)

    def clear(self) -> None:
        """Remove all files."""
        with self._lock:
            self._handles.clear()


@contextmanager
def explain_os_errors(path: Path) -> Iterator[None]:
    """Turn every OSError in the block into a DiskFullError or DiskError that names `path`."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFullError(
                f"no space for {path} ({why(error)}); what was received is kept: "
                "free some space and share again"
            ) from error
        raise DiskError(f"cannot use {path}: {why(error)}") from error


def write_all(file: FileHandle, content: bytes | bytearray | memoryview, offset: int) -> None:
    """Write all of `content` at `offset` (bytes); raises OSError."""
    rest = memoryview(content)
    while rest:
        written = os.pwrite(file.fileno(), rest, offset)
        rest, offset = rest[written:], offset + written


def chunks(file: FileHandle, size: int, stop: Event) -> Iterator[memoryview]:
    """Yield the first `size` bytes of a file, 1 MiB at a time, in one buffer that is reused.

    They end early if the file does. Raises OSError, and StorageCancelledError when `stop` is set.
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
    """Return the SHA-256, in hex, of the first `size` bytes of a file; raises like `chunks`."""
    whole = hashlib.sha256()
    for chunk in chunks(file, size, stop):
        whole.update(chunk)
    return whole.hexdigest()


def publish(path: Path, candidates: Iterable[Path]) -> Path:
    """Rename the file at `path` to the first of `candidates` that is free, and return that.

    Nothing is overwritten, even if other programs create files at the same time. The old name may
    remain as a second link, and the caller should remove it. Raises OSError.
    """
    for candidate in candidates:
        with suppress(FileExistsError):
            try:
                os.link(path, candidate, follow_symlinks=False)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                candidate.touch(exist_ok=False)  # reserves the name until it is replaced
                path.replace(candidate)
            return candidate
    raise AssertionError("names never end")
