"""The download directory: one run locks it, and each received file gets a name in it.

No index says where a file is. It has the first of the names ``NAME``, ``NAME-2``, … that holds it
(complete, by its SHA-256, or unfinished, by its bitmap) or that is free. So a run finds what an
earlier run left, even if somebody moved files in between, and never touches any other file.
"""

import fcntl
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import Final

from bitarray import bitarray

from chatctl.errors import UsageError, why
from chatctl.share.storage import file_io
from chatctl.share.storage.file_io import FileHandle, FileHandleCache
from chatctl.share.storage.filenames import FilePaths, local_name, numbered_names
from chatctl.share.storage.partial_file import PartialFile, header
from common import names
from common.manifest import DIGEST_SIZE, FileEntry, Layout, Manifest, count_pieces

_READ: Final = os.O_RDONLY | os.O_NOFOLLOW


class DownloadDirectory:
    """The download directory, created if it is missing, and locked until `unlock`.

    Raises UsageError when it cannot be used, or another run uses it.
    """

    def __init__(self, directory: Path, handles: FileHandleCache, stop: Event) -> None:
        self._directory = directory
        self._handles = handles
        self._stop = stop
        self._lock = _lock(directory)
        self._taken: set[str] = set()

    def allocate(self, manifest: Manifest) -> list[PartialFile]:
        """Find each file of an owner, or create it; raises DiskError, StorageCancelledError."""
        layout = Layout(file.size for file in manifest.files)
        digests = memoryview(manifest.digests)
        taken = self._taken.copy()  # on an error nothing is taken, and a retry is possible
        candidates_by_name: dict[str, Iterator[str]] = {}
        allocated = []
        for number, file in enumerate(manifest.files):
            name = local_name(manifest.owner, file.name)
            candidates = candidates_by_name.setdefault(name, numbered_names(name))
            pieces = layout.pieces(number)
            own_digests = digests[pieces.start * DIGEST_SIZE : pieces.stop * DIGEST_SIZE]
            allocated.append(self._allocate(file, own_digests, candidates, taken))
        self._taken = taken
        return allocated

    def find(self, owner: str, files: Sequence[FileEntry]) -> list[Path] | None:
        """Return the paths of the files of `owner`, None if one is incomplete.

        Files that have all their pieces get their final names. Raises DiskError,
        StorageCancelledError.
        """
        taken: set[str] = set()
        found = []
        for file in files:
            path = self._find(local_name(owner, file.name), file, taken)
            if path is None:
                return None
            found.append(path)
        return found

    def unlock(self) -> None:
        """Unlock the directory for other runs."""
        fcntl.flock(self._lock.fileno(), fcntl.LOCK_UN)

    def _allocate(
        self, file: FileEntry, digests: memoryview, candidates: Iterator[str], taken: set[str]
    ) -> PartialFile:
        for name in candidates:
            key = names.fold(name)  # some file systems ignore case
            if key in taken:
                continue
            paths = FilePaths.of(self._directory, name)
            partial = PartialFile(paths, file, digests, self._handles, self._stop)
            with file_io.explain_os_errors(paths.final):
                if self._claim(partial, paths):
                    taken.add(key)
                    return partial
        raise AssertionError("names never end")

    def _claim(self, partial: PartialFile, paths: FilePaths) -> bool:
        """Create or continue the file at these paths; return False if another file is there."""
        is_begun = _starts_with(paths.bitmap, header(partial.file))
        if self._is_whole(paths.final, partial.file):
            partial.use_existing()
            if is_begun:
                paths.part.unlink(missing_ok=True)
                paths.bitmap.unlink()
            return True
        if is_begun and (_is_file(paths.part) or not os.path.lexists(paths.part)):
            partial.resume()
            return True
        if any(map(os.path.lexists, paths)):
            return False
        try:
            partial.create()
        except FileExistsError:
            return False
        return True

    def _find(self, name: str, file: FileEntry, taken: set[str]) -> Path | None:
        for candidate in numbered_names(name):
            key, paths = names.fold(candidate), FilePaths.of(self._directory, candidate)
            with file_io.explain_os_errors(paths.final):
                if key in taken:
                    continue
                taken.add(key)
                if self._is_whole(paths.final, file):
                    return paths.final
                if _has_all_pieces(paths, file):
                    partial = PartialFile(paths, file, memoryview(b""), self._handles, self._stop)
                    return partial.path if partial.verify_and_publish() else None
                if not any(map(os.path.lexists, paths)):
                    return None
        raise AssertionError("names never end")

    def _is_whole(self, path: Path, file: FileEntry) -> bool:
        if not _is_file(path) or path.lstat().st_size != file.size:
            return False
        try:
            return (
                file_io.sha256(FileHandle.open(path, _READ), file.size, self._stop) == file.digest
            )
        except PermissionError:
            return False


def _lock(directory: Path) -> FileHandle:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = FileHandle.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise UsageError(f"cannot use {directory}: {why(error)}; choose another --out") from None
    if not os.access(directory, os.W_OK | os.X_OK):
        raise UsageError(f"{directory} is not writable; choose another --out")
    try:
        fcntl.flock(handle.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(
            f"another share is using {directory}; choose another --out, or wait for it"
        ) from None
    except OSError as error:
        raise UsageError(
            f"cannot lock {directory}: {why(error)}; choose an --out on a local disk"
        ) from None
    return handle


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def _has_all_pieces(paths: FilePaths, file: FileEntry) -> bool:
    """Return whether the bitmap says that no piece of `file` is missing."""
    header_line = header(file)
    if not _starts_with(paths.bitmap, header_line) or not _is_file(paths.part):
        return False
    octets = paths.bitmap.read_bytes()[len(header_line) :]
    full = ~bitarray(count_pieces(file.size))
    return paths.part.stat().st_size == file.size and octets == full.tobytes()


def _starts_with(path: Path, header_line: bytes) -> bool:
    """Return whether there is a file at `path` that begins with `header_line`."""
    if not _is_file(path):
        return False
    with path.open("rb") as file:
        return file.read(len(header_line)) == header_line
