"""A file of one's own, served from where it is, for as long as it is what others were told.

Reading a piece of any file that is shared, one's own or another's.
Reads the files that a peer offers, once, to say what others will get.
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


class ChangedFileError(PartialError):
    """A piece is no longer what others were told of it."""


class Readable(Protocol):
    """A file whose pieces are read."""

    @property
    def path(self) -> Path:
        """Where it is."""

    def open(self) -> FileHandle:
        """Return it open; raises OSError."""

    def locate(self, offset: int, length: int) -> Location | None:
        """Return where these bytes are, or None when they are to be read to be sure of them."""


def read_piece(file: Readable, span: Span, digest: bytes) -> bytes:
    """Return the bytes at `span`, which have the SHA-256 `digest`.

    Blocks. Raises ChangedFileError when they have another, and when the file cannot be read.
    """
    try:
        piece = os.pread(file.open().fileno(), span.length, span.offset)
    except OSError as error:
        raise ChangedFileError(f"cannot read {file.path} any more: {why(error)}") from error
    if hashlib.sha256(piece).digest() != digest:
        raise ChangedFileError(
            f"{file.path} has been changed since it is shared; share it again to let others have it"
        )
    return piece


class SharedFiles(Struct, frozen=True):
    """Files of one's own: what others are told of them, and where they are, in the same order."""

    manifest: Manifest
    identities: tuple[FileIdentity, ...]


class _Hashed(NamedTuple):
    file: FileEntry
    digests: bytes
    identity: FileIdentity


async def hash_files(owner: str, paths: Sequence[Path]) -> SharedFiles:
    """Hash the files at `paths`, in threads.

    Of a file that grows meanwhile, what it had at the beginning is taken. Raises UsageError for
    what cannot be shared: too many files, a directory, a file that cannot be read, one that is
    changed while it is read.
    """
    if len(paths) > MAX_FILES:
        raise UsageError(f"{len(paths)} files are too many, {MAX_FILES} may be shared: pack them")
    stop = Event()
    try:
        hashed = await asyncio.gather(*(asyncio.to_thread(_hash, path, stop) for path in paths))
    finally:
        stop.set()
    digests = b"".join(each.digests for each in hashed)
    manifest = Manifest(owner, tuple(each.file for each in hashed), digests)
    return SharedFiles(manifest, tuple(each.identity for each in hashed))


def _hash(path: Path, stop: Event) -> _Hashed:
    try:
        file = FileHandle.open(path, OPEN_FLAGS)
        before = os.fstat(file.fileno())
        if not stat.S_ISREG(before.st_mode):
            kind = "a directory" if stat.S_ISDIR(before.st_mode) else "no file"
            raise UsageError(f"{path} is {kind}; name the files that are to be shared")
        whole, digests = _digests(file, before.st_size, stop)
        after = os.fstat(file.fileno())
    except OSError as error:
        raise UsageError(f"cannot share {path}: {why(error)}") from None
    is_same = FileIdentity.of(path, after) == FileIdentity.of(path, before)
    has_grown = after.st_size > before.st_size
    if whole is None or not (is_same or has_grown):
        raise UsageError(f"{path} was changed while it was read; share it when it is finished")
    # A name need not be UTF-8.
    name = os.fsencode(path.name).decode(errors="replace")
    return _Hashed(FileEntry(name, before.st_size, whole), digests, FileIdentity.of(path, before))


def _digests(file: FileHandle, size: int, stop: Event) -> tuple[str | None, bytes]:
    """Return the SHA-256 of a file, None if it ends before `size` bytes, and of its pieces."""
    whole, digests, length = hashlib.sha256(), bytearray(), 0
    for chunk in file_io.chunks(file, size, stop):
        whole.update(chunk)
        for start in range(0, len(chunk), PIECE_SIZE):
            digests += hashlib.sha256(chunk[start : start + PIECE_SIZE]).digest()
        length += len(chunk)
    return whole.hexdigest() if length == size else None, bytes(digests)
