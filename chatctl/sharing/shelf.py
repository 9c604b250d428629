"""The output directory: who may use it, and under which names the files of others are in it.

Where a file is, is written down nowhere. It is the first of ``NAME``, ``NAME-2``, … that holds it
(whole, as its SHA-256 tells, or unfinished, as its bitmap tells) or is free. So a run finds what an
earlier one left, whoever has tidied up meanwhile, and what is something else is never touched.
"""

import fcntl
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import Final

from chatctl.errors import UsageError, why
from chatctl.sharing import disk, filenames
from chatctl.sharing.handles import Handle, Handles
from chatctl.sharing.incoming import Incoming, Places, title
from common import names
from common.pieces import DIGEST, FileEntry, Layout, Manifest, PieceSet, count_pieces

_READ: Final = os.O_RDONLY | os.O_NOFOLLOW


class Shelf:
    """The output directory, made if need be, and locked until `unlock`.

    Raises UsageError when it cannot be used, or another run uses it.
    """

    def __init__(self, directory: Path, handles: Handles, stop: Event) -> None:
        self._directory = directory
        self._handles = handles
        self._stop = stop
        self._lock = _lock(directory)
        self._taken: set[str] = set()

    def place(self, manifest: Manifest) -> list[Incoming]:
        """Find what is there of each file, and begin the others; raises DiskError, Stopped."""
        layout = Layout(file.size for file in manifest.files)
        digests = memoryview(manifest.digests)
        taken = self._taken.copy()  # in vain if the disk is full: then it may be tried again
        variants: dict[str, Iterator[str]] = {}
        placed = []
        for number, file in enumerate(manifest.files):
            name = filenames.local_name(manifest.owner, file.name)
            candidates = variants.setdefault(name, filenames.variants(name))
            pieces = layout.pieces(number)
            own_digests = digests[pieces.start * DIGEST : pieces.stop * DIGEST]
            placed.append(self._place(file, own_digests, candidates, taken))
        self._taken = taken
        return placed

    def find(self, owner: str, files: Sequence[FileEntry]) -> list[Path] | None:
        """Return where files of `owner` are, None if one is not whole.

        Those that have all their pieces are given their names. Raises DiskError, Stopped.
        """
        taken: set[str] = set()
        found = []
        for file in files:
            path = self._find(filenames.local_name(owner, file.name), file, taken)
            if path is None:
                return None
            found.append(path)
        return found

    def unlock(self) -> None:
        """Let another run use the directory."""
        fcntl.flock(self._lock.fileno(), fcntl.LOCK_UN)

    def _place(
        self, file: FileEntry, digests: memoryview, candidates: Iterator[str], taken: set[str]
    ) -> Incoming:
        for name in candidates:
            key = names.key(name)  # some disks know no more of a name
            if key in taken:
                continue
            places = Places.of(self._directory, name)
            incoming = Incoming(places, file, digests, self._handles, self._stop)
            with disk.explained(places.final):
                if self._fits(incoming, places):
                    taken.add(key)
                    return incoming
        raise AssertionError("names never end")

    def _fits(self, incoming: Incoming, places: Places) -> bool:
        """Begin the file, or go on with it, at these places, unless something else is there."""
        is_begun = _begins(places.bitmap, title(incoming.file))
        if self._is_whole(places.final, incoming.file):
            incoming.adopt()
            if is_begun:
                places.part.unlink(missing_ok=True)
                places.bitmap.unlink()
            return True
        if is_begun and (_is_file(places.part) or not os.path.lexists(places.part)):
            incoming.resume()
            return True
        if any(map(os.path.lexists, places)):
            return False
        try:
            incoming.create()
        except FileExistsError:
            return False
        return True

    def _find(self, name: str, file: FileEntry, taken: set[str]) -> Path | None:
        for candidate in filenames.variants(name):
            key, places = names.key(candidate), Places.of(self._directory, candidate)
            with disk.explained(places.final):
                if key in taken:
                    continue
                taken.add(key)
                if self._is_whole(places.final, file):
                    return places.final
                if _has_all_pieces(places, file):
                    incoming = Incoming(places, file, memoryview(b""), self._handles, self._stop)
                    return incoming.path if incoming.seal() else None
                if not any(map(os.path.lexists, places)):
                    return None
        raise AssertionError("names never end")

    def _is_whole(self, path: Path, file: FileEntry) -> bool:
        if not _is_file(path) or path.lstat().st_size != file.size:
            return False
        try:
            return disk.sha256(Handle.open(path, _READ), file.size, self._stop) == file.digest
        except PermissionError:
            return False


def _lock(directory: Path) -> Handle:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = Handle.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as fault:
        raise UsageError(f"cannot use {directory}: {why(fault)}; choose another --out") from None
    if not os.access(directory, os.W_OK | os.X_OK):
        raise UsageError(f"{directory} may not be written to; choose another --out")
    try:
        fcntl.flock(handle.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(
            f"another share writes to {directory}; choose another --out, or wait for it"
        ) from None
    except OSError as fault:
        raise UsageError(
            f"cannot lock {directory}: {why(fault)}; choose an --out on a local disk"
        ) from None
    return handle


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def _has_all_pieces(places: Places, file: FileEntry) -> bool:
    """Return whether the bitmap says that nothing of `file` is missing."""
    line = title(file)
    if not _begins(places.bitmap, line) or not _is_file(places.part):
        return False
    octets = places.bitmap.read_bytes()[len(line) :]
    full = PieceSet.full(count_pieces(file.size))
    return places.part.stat().st_size == file.size and octets == full.encode()


def _begins(path: Path, line: bytes) -> bool:
    """Return whether the file at `path`, if there is one, begins with `line`."""
    if not _is_file(path):
        return False
    with path.open("rb") as file:
        return file.read(len(line)) == line
