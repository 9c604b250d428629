"""What a run has learned of who shares what, kept in its directory until all of that is there.

Files that are whole tell nothing of others that never came. So a run that was killed when it had
all, and is started again when the others are gone, would find something missing; its record tells
that nothing is. It belongs to one group and to files of one's own: what is shared in exchange for
others is another exchange. The same once more may be another round all the same, which nobody can
tell before the others come: so it counts only for those who did not in all the time they had.
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
    """A file of another peer that is here, whole, and where."""

    file: FileEntry
    path: Path


RecoveredFiles: TypeAlias = Mapping[str, tuple[FoundFile, ...]]
"""The files of other peers by the id of their owner."""


class ResumeData:
    """The record in `directory` of a peer of `group` whose own manifest has this `digest`.

    The directory is locked by a run. All that it does blocks.
    """

    def __init__(self, directory: Path, group: str, digest: str) -> None:
        key = hashlib.sha256(msgspec.json.encode((group, digest))).hexdigest()[:16]
        self._path = directory / f".share-{key}"  # no file of another peer begins with a dot
        self._files_by_owner: _FilesByOwner = {}

    def load(self) -> Mapping[str, tuple[FileEntry, ...]]:
        """Return the files of each owner that an earlier run knew; nothing if there was none."""
        with suppress(OSError, ValueError):
            self._files_by_owner = _DECODER.decode(self._path.read_bytes())
        return self._files_by_owner

    def add(self, manifest: Manifest) -> None:
        """Note the files of another peer; raises DiskError, DiskFullError."""
        self._files_by_owner[manifest.owner] = manifest.files
        new = self._path.with_suffix(".new")
        with file_io.explain_os_errors(self._path):
            new.write_bytes(msgspec.json.encode(self._files_by_owner))
            new.replace(self._path)

    def delete(self) -> None:
        """Remove it, since all that it speaks of is here."""
        with suppress(OSError):
            self._path.unlink()


async def recover(
    files_by_owner: Mapping[str, tuple[FileEntry, ...]], store: Store
) -> RecoveredFiles:
    """Return the files of all `files_by_owner`, or nothing if one is not whole.

    Files that have all their pieces are given their names. Raises DiskError, DiskFullError.
    """
    recovered = {}
    for owner, files in files_by_owner.items():
        if (paths := await store.find(owner, files)) is None:
            return {}
        recovered[owner] = tuple(map(FoundFile, files, paths))
    return recovered
