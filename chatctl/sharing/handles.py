"""Open files: not too many at once, and none closed while its bytes are on their way."""

import os
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple, Self

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
