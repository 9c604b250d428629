"""Reads the files that a peer offers, once, to say what others will get."""

import asyncio
import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import NamedTuple

from msgspec import Struct

from chatctl.errors import UsageError, why
from chatctl.sharing import disk
from chatctl.sharing.handles import FileHandle
from chatctl.sharing.own import OPEN_FLAGS, FileIdentity
from common.pieces import MAX_FILES, PIECE_SIZE, FileEntry, Manifest


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
    for chunk in disk.chunks(file, size, stop):
        whole.update(chunk)
        for start in range(0, len(chunk), PIECE_SIZE):
            digests += hashlib.sha256(chunk[start : start + PIECE_SIZE]).digest()
        length += len(chunk)
    return whole.hexdigest() if length == size else None, bytes(digests)
