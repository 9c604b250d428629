"""The files that this peer shares: hashing them once, then serving them where they are.

A file may change after it was hashed. A piece is therefore sent unread only while the file has the
identity that it had then; otherwise the piece is read and verified first.
"""

import asyncio
import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Final, NamedTuple, Protocol

from msgspec import Struct

from chatctl.errors import PartialError, UsageError, why
from chatctl.share.storage import file_io
from chatctl.share.storage.file_io import FileHandle, FileHandleCache, Location
from common.manifest import MAX_FILES, PIECE_SIZE, FileEntry, Manifest, Span

OPEN_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK
"""Opening a named pipe or a device does not block with these."""


class FileIdentity(Struct, frozen=True):
    """Where a file is, and what identified its content when it was hashed."""

    path: Path
    device: int
    inode: int
    size: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path, status: os.stat_result) -> "FileIdentity":
        """Return the identity of the file at `path` that has this `status`."""
        return cls(path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


class SharedFiles(Struct, frozen=True):
    """The files that this peer shares: their manifest, and where each is, in the same order."""

    manifest: Manifest
    identities: tuple[FileIdentity, ...]


async def hash_files(owner: str, paths: Sequence[Path]) -> SharedFiles:
    """Hash the files at `paths`, in threads.

    Of a file that grows meanwhile, only the original part is shared. Raises UsageError for what
    cannot be shared: too many files, a directory, a file that cannot be read or that changes while
    it is read.
    """
    if len(paths) > MAX_FILES:
        raise UsageError(
            f"{len(paths)} files are too many: pack them, at most {MAX_FILES} can be shared"
        )
    stop = Event()
    try:
        hashed = await asyncio.gather(*(asyncio.to_thread(_hash, path, stop) for path in paths))
    finally:
        stop.set()
    digests = b"".join(each.digests for each in hashed)
    manifest = Manifest(owner, tuple(each.file for each in hashed), digests)
    return SharedFiles(manifest, tuple(each.identity for each in hashed))


class SourceFile:
    """A file that this peer shares from where it is, and that others may change meanwhile."""

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
        """Return where these bytes are, or None when the file may have changed."""
        try:
            handle = self.open()
            status = os.fstat(handle.fileno())
        except OSError:
            return None
        if FileIdentity.of(self.path, status) != self._identity:
            return None
        return Location(handle, offset, length)


class ChangedFileError(PartialError):
    """A piece no longer has the digest in the manifest."""


class Readable(Protocol):
    """A file whose pieces can be read."""

    @property
    def path(self) -> Path:
        """Where it is."""

    def open(self) -> FileHandle:
        """Return it open; raises OSError."""

    def locate(self, offset: int, length: int) -> Location | None:
        """Return where these bytes are, or None when they must be read and verified first."""


def read_piece(file: Readable, span: Span, digest: bytes) -> bytes:
    """Return the bytes at `span`, verified by their SHA-256 `digest`. Blocks.

    Raises ChangedFileError when the digest differs or the file cannot be read.
    """
    try:
        piece = os.pread(file.open().fileno(), span.length, span.offset)
    except OSError as error:
        raise ChangedFileError(f"cannot read {file.path} any more: {why(error)}") from error
    if hashlib.sha256(piece).digest() != digest:
        raise ChangedFileError(
            f"{file.path} changed after sharing began; share it again so that others can have it"
        )
    return piece


class _Hashed(NamedTuple):
    file: FileEntry
    digests: bytes
    identity: FileIdentity


def _hash(path: Path, stop: Event) -> _Hashed:
    try:
        file = FileHandle.open(path, OPEN_FLAGS)
        before = os.fstat(file.fileno())
        if not stat.S_ISREG(before.st_mode):
            kind = "a directory" if stat.S_ISDIR(before.st_mode) else "not a regular file"
            raise UsageError(f"{path} is {kind}; name the files to share")
        whole, digests = _digests(file, before.st_size, stop)
        after = os.fstat(file.fileno())
    except OSError as error:
        raise UsageError(f"cannot share {path}: {why(error)}") from None
    is_same = FileIdentity.of(path, after) == FileIdentity.of(path, before)
    has_grown = after.st_size > before.st_size
    if whole is None or not (is_same or has_grown):
        raise UsageError(f"{path} changed while it was read; share it when it is complete")
    # A file name need not be UTF-8.
    name = os.fsencode(path.name).decode(errors="replace")
    return _Hashed(FileEntry(name, before.st_size, whole), digests, FileIdentity.of(path, before))


def _digests(file: FileHandle, size: int, stop: Event) -> tuple[str | None, bytes]:
    """Return the SHA-256 of a file (None if it ends before `size` bytes) and of each piece."""
    whole, digests, length = hashlib.sha256(), bytearray(), 0
    for chunk in file_io.chunks(file, size, stop):
        whole.update(chunk)
        for start in range(0, len(chunk), PIECE_SIZE):
            digests += hashlib.sha256(chunk[start : start + PIECE_SIZE]).digest()
        length += len(chunk)
    return whole.hexdigest() if length == size else None, bytes(digests)
