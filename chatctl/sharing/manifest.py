"""Reads the files that a peer offers, once, to say what others will get."""

from pathlib import Path

from msgspec import Struct

from common.pieces import Manifest


class Source(Struct, frozen=True):
    """Where a file of one's own is, and what it was when it was hashed."""

    path: Path
    device: int
    inode: int
    size: int
    modified_ns: int


class Collection(Struct, frozen=True):
    """Files of one's own: what others are told of them, and where they are, in the same order."""

    manifest: Manifest
    sources: tuple[Source, ...]


async def collect(owner: str, paths: list[Path]) -> Collection:
    """Hash the files at `paths`, in threads.

    A file that grows meanwhile is taken as it was at the beginning. Raises UsageError for what
    cannot be shared: a directory, a file that cannot be read, one that changes while it is read,
    too many.
    """
    raise NotImplementedError
