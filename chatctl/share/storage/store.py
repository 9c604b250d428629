"""The storage of a share: the peer's own files where they are, and those of others as they come.

`Store` runs on the event loop and has threads read, hash and write.
"""

import asyncio
from asyncio import Future
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Generic, Self, TypeAlias, TypeVar

from bitarray import bitarray
from msgspec import Struct

from chatctl.errors import PartialError
from chatctl.share.storage import file_io
from chatctl.share.storage.directory import DownloadDirectory
from chatctl.share.storage.file_io import FileHandleCache, Location
from chatctl.share.storage.partial_file import PartialFile
from chatctl.share.storage.source_file import (
    ChangedFileError,
    Readable,
    SharedFiles,
    SourceFile,
    read_piece,
)
from common.manifest import PIECE_SIZE, FileEntry, InvalidManifestError, Layout, Manifest, check
from common.system.threads import WorkerThread

__all__ = [
    "ChangedFileError",
    "FileComplete",
    "FileFailed",
    "Location",
    "PiecesCorrupt",
    "StorageEvent",
    "Store",
]


class FileComplete(Struct, frozen=True):
    """File number `file` of `owner` is complete, verified, synced to disk, and named `path`."""

    owner: str
    file: int
    path: Path


class PiecesCorrupt(Struct, frozen=True):
    """Pieces of `owner` that were written are corrupt now, and must be fetched again."""

    owner: str
    pieces: tuple[int, ...]


class FileFailed(Struct, frozen=True):
    """File number `file` of `owner` has all pieces but cannot be finished because of `error`."""

    owner: str
    file: int
    error: Exception


StorageEvent: TypeAlias = FileComplete | PiecesCorrupt | FileFailed

_File_co = TypeVar("_File_co", bound=Readable, covariant=True)


class FileSet(Generic[_File_co]):
    """The files of one owner, in the order of its manifest, and which of its pieces are here."""

    def __init__(self, manifest: Manifest, files: Sequence[_File_co]) -> None:
        self.manifest = manifest
        self.files = files
        self.layout = Layout(file.size for file in manifest.files)
        self.held = bitarray(len(self.layout))
        self._missing = [len(self.layout.pieces(number)) for number in range(len(files))]

    @classmethod
    def full(cls, manifest: Manifest, files: Sequence[_File_co]) -> Self:
        """Return the file set with all pieces held."""
        file_set = cls(manifest, files)
        file_set.held = ~bitarray(len(file_set.layout))
        file_set._missing = [0] * len(files)
        return file_set

    def is_whole(self, number: int) -> bool:
        """Return whether all pieces of file `number` are held."""
        return not self._missing[number]

    def add(self, index: int) -> bool:
        """Mark a piece as held; return whether it was the last missing piece of its file."""
        if self.held[index]:
            return False
        self.held[index] = True
        number = self.layout.span(index).file
        self._missing[number] -= 1
        return self.is_whole(number)

    def discard(self, indexes: Iterable[int]) -> None:
        """Mark pieces as no longer held."""
        for index in indexes:
            self.held[index] = False
            self._missing[self.layout.span(index).file] += 1


class Store:
    """The files of one run; those of other peers go to `directory`.

    Call all methods from the event loop; threads read, hash and write. `max_size` (bytes) limits
    the files of each peer. `emit` is called in the loop with each `StorageEvent`, and `on_added` in
    a thread with each manifest that was added.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_size: int,
        emit: Callable[[StorageEvent], object],
        on_added: Callable[[Manifest], object] = lambda _manifest: None,
    ) -> None:
        self._directory = directory
        self._max_size = max_size
        self._emit = emit
        self._on_added = on_added
        self._stop = Event()
        self._handles = FileHandleCache()
        self._file_sets: dict[str, FileSet[Readable]] = {}
        self._partial_sets: dict[str, FileSet[PartialFile]] = {}
        self._adding = asyncio.Lock()
        self._finish_tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Create and lock the directory.

        Raises UsageError when it cannot be written, or another run uses it.
        """
        self._download_directory = await asyncio.to_thread(
            DownloadDirectory, self._directory, self._handles, self._stop
        )
        self._write_thread, self._read_thread = (
            WorkerThread("write pieces"),
            WorkerThread("read pieces"),
        )
        # Long operations have threads of their own, so that pieces need not wait for them.
        self._open_thread, self._finish_thread = (
            WorkerThread("open files"),
            WorkerThread("finish files", batch=1),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write the pieces that are waiting; unfinished files stay as ``.part``."""
        self._stop.set()
        await self._open_thread.close()
        await self._finish_thread.close()
        await asyncio.gather(*self._finish_tasks)
        await self._write_thread.close()
        await self._read_thread.close()
        self._handles.clear()
        self._download_directory.unlock()

    def add_own(self, shared_files: SharedFiles) -> None:
        """Serve this peer's own files, from where they are."""
        manifest = shared_files.manifest
        files = [SourceFile(source, self._handles) for source in shared_files.identities]
        self._file_sets[manifest.owner] = FileSet.full(manifest, files)

    async def find(self, owner: str, files: Sequence[FileEntry]) -> list[Path] | None:
        """Return where an earlier run put the files of `owner`, None if one is incomplete.

        Files that have all their pieces get their final names. Raises DiskError, DiskFullError.
        """
        return await self._open_thread.submit(partial(self._download_directory.find, owner, files))

    async def add(self, manifest: Manifest) -> bitarray:
        """Allocate the files of a peer; return the pieces that are already here, as `held` does.

        What an earlier run left is hashed first; a complete file is reported as `FileComplete`.
        Raises InvalidManifestError when the files exceed `max_size`, or this peer had another
        manifest before, and DiskError, DiskFullError. It may be cancelled and called again.
        """
        return await asyncio.shield(self._add(manifest))

    def held(self, owner: str) -> bitarray:
        """Return the verified pieces of `owner`: a live view, which must not be changed.

        Raises KeyError when the files of `owner` are unknown.
        """
        return self._file_sets[owner].held

    def write(
        self, owner: str, index: int, piece: bytes | bytearray | memoryview
    ) -> "Future[bool]":
        """Verify a piece of another peer and write it; the result tells whether it is correct.

        `piece` must not change until then. A wrong piece is not written, and its sender should not
        be trusted. The result raises DiskError or DiskFullError, after which the piece may be
        written again. Raises KeyError, IndexError.
        """
        file_set = self._partial_sets[owner]
        file, offset, _ = file_set.layout.span(index)
        write = partial(file_set.files[file].write, offset // PIECE_SIZE, piece)
        future = self._write_thread.submit(write)
        future.add_done_callback(partial(self._written, file_set, index))
        return asyncio.shield(future)  # a cancelled caller does not stop the write

    def read(self, owner: str, index: int) -> "Future[bytes]":
        """Read and verify a piece that is held.

        The result raises ChangedFileError when the file has changed. Raises KeyError, IndexError.
        """
        file_set = self._file_sets[owner]
        span = file_set.layout.span(index)
        digest = file_set.manifest.digest_of(index)
        return self._read_thread.submit(
            partial(read_piece, file_set.files[span.file], span, digest)
        )

    def locate(self, owner: str, index: int) -> Location | None:
        """Return where the bytes of a piece are, for `os.sendfile`; the piece must be held.

        None when they may have changed, because an own file was written to: then call `read`,
        which verifies them. Raises KeyError, IndexError.
        """
        file_set = self._file_sets[owner]
        span = file_set.layout.span(index)
        return file_set.files[span.file].locate(span.offset, span.length)

    async def _add(self, manifest: Manifest) -> bitarray:
        owner = manifest.owner
        async with self._adding:
            if known := self._file_sets.get(owner):
                if known.manifest != manifest:
                    raise InvalidManifestError(f"{owner} shared other files before")
                return known.held
            check(manifest, self._max_size)
            file_set = await self._open_thread.submit(partial(self._allocate, manifest))
            self._partial_sets[owner] = self._file_sets[owner] = file_set
        for number, file in enumerate(file_set.files):
            if file.is_finished:
                self._emit(FileComplete(owner, number, file.path))
            elif file_set.is_whole(number):
                self._finish_soon(file_set, number)
        return file_set.held

    def _allocate(self, manifest: Manifest) -> FileSet[PartialFile]:
        files = self._download_directory.allocate(manifest)
        self._on_added(manifest)
        file_set = FileSet(manifest, files)
        for number, file in enumerate(files):
            first = file_set.layout.pieces(number).start
            for piece in file.written.search(1):
                file_set.add(first + piece)
        return file_set

    def _written(self, file_set: FileSet[PartialFile], index: int, future: "Future[bool]") -> None:
        if not future.exception() and future.result() and file_set.add(index):
            self._finish_soon(file_set, file_set.layout.span(index).file)

    def _finish_soon(self, file_set: FileSet[PartialFile], number: int) -> None:
        if not self._stop.is_set():
            task = asyncio.create_task(self._finish(file_set, number))
            self._finish_tasks.add(task)
            task.add_done_callback(self._finish_tasks.discard)

    async def _finish(self, file_set: FileSet[PartialFile], number: int) -> None:
        owner, file = file_set.manifest.owner, file_set.files[number]
        try:
            corrupt = await self._finish_thread.submit(file.finish)
            if corrupt:
                # In the thread that writes, or a piece could be unmarked after it came again.
                await self._write_thread.submit(partial(file.unmark, corrupt))
        except file_io.StorageCancelledError:
            return
        except PartialError as error:
            self._emit(FileFailed(owner, number, error))
            return
        if not corrupt:
            self._emit(FileComplete(owner, number, file.path))
            return
        first = file_set.layout.pieces(number).start
        indexes = tuple(first + piece for piece in corrupt)
        file_set.discard(indexes)
        self._emit(PiecesCorrupt(owner, indexes))
