"""Resume data: which files the peers of a group share, kept on disk until all of them are here.

Consider a run that is killed when it has everything, and is started again when the others are gone.
Without resume data it could not tell that nothing is missing. The data belongs to one group and one
manifest: a peer that shares other files takes part in another exchange. Even with the same files
the others may be about to begin another round, which is unknown until they come. So the resume data
counts only for peers that did not come within the time they had.
"""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import msgspec

from chatctl.share.storage import file_io
from chatctl.share.storage.store import Store
from common.manifest import FileEntry, Manifest

_FilesByOwner: TypeAlias = dict[str, tuple[FileEntry, ...]]
_DECODER: Final = msgspec.json.Decoder(_FilesByOwner)


class FoundFile(NamedTuple):
    """A complete file of another peer, and where it is."""

    file: FileEntry
    path: Path


RecoveredFiles: TypeAlias = Mapping[str, tuple[FoundFile, ...]]
"""The complete files of other peers, by the id of their owner."""


class ResumeData:
    """The resume data in `directory` of a peer of `group` whose own manifest has this `digest`.

    The directory must be locked by the run. All methods block.
    """

    def __init__(self, directory: Path, group: str, digest: str) -> None:
        key = hashlib.sha256(msgspec.json.encode((group, digest))).hexdigest()[:16]
        self._path = directory / f".share-{key}"  # no file of another peer begins with a dot
        self._files_by_owner: _FilesByOwner = {}

    def load(self) -> Mapping[str, tuple[FileEntry, ...]]:
        """Return the files of each owner that an earlier run knew; none if there was no run."""
        with suppress(OSError, ValueError):
            self._files_by_owner = _DECODER.decode(self._path.read_bytes())
        return self._files_by_owner

    def add(self, manifest: Manifest) -> None:
        """Record the files of another peer; raises DiskError, DiskFullError."""
        self._files_by_owner[manifest.owner] = manifest.files
        new = self._path.with_suffix(".new")
        with file_io.explain_os_errors(self._path):
            new.write_bytes(msgspec.json.encode(self._files_by_owner))
            new.replace(self._path)

    def delete(self) -> None:
        """Remove the file, once all files in it are here."""
        with suppress(OSError):
            self._path.unlink()


async def recover(
    files_by_owner: Mapping[str, tuple[FileEntry, ...]], store: Store
) -> RecoveredFiles:
    """Return where all of `files_by_owner` are, or nothing if one is incomplete.

    Files that have all their pieces get their final names. Raises DiskError, DiskFullError.
    """
    recovered = {}
    for owner, files in files_by_owner.items():
        if (paths := await store.find(owner, files)) is None:
            return {}
        recovered[owner] = tuple(map(FoundFile, files, paths))
    return recovered
