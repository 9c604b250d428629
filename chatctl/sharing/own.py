"""A file of one's own, served from where it is, for as long as it is what others were told."""

import os
from pathlib import Path
from typing import Final

from msgspec import Struct

from chatctl.sharing.handles import FileHandle, FileHandleCache, Location

OPEN_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK
"""Opens what may be no file without waiting, for instance for who writes to a pipe."""


class FileIdentity(Struct, frozen=True):
    """Where a file is, and what it was when it was hashed."""

    path: Path
    device: int
    inode: int
    size: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path, status: os.stat_result) -> "FileIdentity":
        """Return the source at `path` that has `status`."""
        return cls(path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


class SourceFile:
    """A file at its own place, which others may write to meanwhile."""

    def __init__(self, identity: FileIdentity, handles: FileHandleCache) -> None:
        self._identity = identity
        self._handles = handles

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._identity.path

    def open(self) -> FileHandle:
        """Return it open; raises OSError."""
        return self._handles.get(self.path, OPEN_FLAGS)

    def locate(self, offset: int, length: int) -> Location | None:
        """Return where these bytes are, or None when the file is not quite what it was."""
        try:
            handle = self.open()
            status = os.fstat(handle.fileno())
        except OSError:
            return None
        if FileIdentity.of(self.path, status) != self._identity:
            return None
        return Location(handle, offset, length)
