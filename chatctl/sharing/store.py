"""What a sharing peer keeps on disk: its own files where they are, those of others as they come."""

import asyncio
from asyncio import Future
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Self, TypeAlias

from msgspec import Struct

from chatctl.errors import PartialError
from chatctl.sharing import disk
from chatctl.sharing.handles import Handles, Location
from chatctl.sharing.holding import Holding
from chatctl.sharing.incoming import Incoming
from chatctl.sharing.lane import Lane
from chatctl.sharing.manifest import Collection
from chatctl.sharing.own import OwnFile
from chatctl.sharing.reading import ChangedFileError, Readable, read_piece
from chatctl.sharing.shelf import Shelf
from common import pieces
from common.pieces import FileEntry, InvalidManifestError, Manifest, PieceSet

__all__ = ["Arrived", "ChangedFileError", "Failed", "Location", "News", "Spoilt", "Store"]


class Arrived(Struct, frozen=True):
    """File number `file` of `owner` is whole, checked, on disk for good, and named `path`."""

    owner: str
    file: int
    path: Path


class Spoilt(Struct, frozen=True):
    """Pieces of `owner` that were written are not there as they were: fetch them again."""

    owner: str
    pieces: tuple[int, ...]


class Failed(Struct, frozen=True):
    """File number `file` of `owner` has all pieces, but `fault` keeps it from being finished."""

    owner: str
    file: int
    fault: Exception


News: TypeAlias = Arrived | Spoilt | Failed


class Store:
    """The files of one run: those of others go to `directory`.

    All methods belong to the thread of the loop, and files are read, hashed and written in others.
    `max_size` (bytes) is how much one peer may have. `tell` hears, in the loop, what becomes of
    files whose pieces have come, and `note`, in a thread, which manifests were added.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_size: int,
        tell: Callable[[News], object],
        note: Callable[[Manifest], object] = lambda _manifest: None,
    ) -> None:
        self._directory = directory
        self._max_size = max_size
        self._tell = tell
        self._note = note
        self._stop = Event()
        self._handles = Handles()
        self._holdings: dict[str, Holding[Readable]] = {}
        self._incoming: dict[str, Holding[Incoming]] = {}
        self._placing = asyncio.Lock()
        self._finishes: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Make the directory, and lock it.

        Raises UsageError when it cannot be written, or another run uses it.
        """
        self._shelf = await asyncio.to_thread(Shelf, self._directory, self._handles, self._stop)
        self._writing, self._reading = Lane("write pieces"), Lane("read pieces")
        # What takes long keeps nobody else waiting.
        self._opening, self._finishing = Lane("open files"), Lane("finish files", batch=1)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write the pieces that are waiting; what is unfinished stays as ``.part``."""
        self._stop.set()
        await self._opening.close()
        await self._finishing.close()
        await asyncio.gather(*self._finishes)
        await self._writing.close()
        await self._reading.close()
        self._handles.clear()
        self._shelf.unlock()

    def share(self, collection: Collection) -> None:
        """Serve files of one's own, from where they are."""
        manifest = collection.manifest
        files = [OwnFile(source, self._handles) for source in collection.sources]
        self._holdings[manifest.owner] = Holding.full(manifest, files)

    async def find(self, owner: str, files: Sequence[FileEntry]) -> list[Path] | None:
        """Return where files of `owner` are that an earlier run has fetched, None if one is not.

        Those that have all their pieces are given their names. Raises DiskError, DiskFullError.
        """
        return await self._opening.submit(partial(self._shelf.find, owner, files))

    async def add(self, manifest: Manifest) -> PieceSet:
        """Make room for the files of a peer; return the pieces that are there, as `held` does.

        What an earlier run left is hashed first. Files that are whole are told of (`Arrived`).
        Raises InvalidManifestError when they have more than `max_size` bytes, or this peer had
        others before, and DiskError, DiskFullError. May be cancelled, and called again for the
        same.
        """
        return await asyncio.shield(self._add(manifest))

    def held(self, owner: str) -> PieceSet:
        """Return the pieces of `owner` that were verified and can be read, now and later on.

        Raises KeyError when the files of `owner` are not known. It is not to be changed.
        """
        return self._holdings[owner].held

    def write(
        self, owner: str, index: int, piece: bytes | bytearray | memoryview
    ) -> "Future[bool]":
        """Verify a piece of another peer, and write it; the result is whether it is the right one.

        `piece` may not change until then. If it is wrong, nothing is written, and who sent it is
        not to be trusted. The result raises DiskError, or DiskFullError: nothing is spoilt, and the
        piece may be written another time. Raises KeyError, IndexError.
        """
        holding = self._incoming[owner]
        file, offset, _ = holding.layout.span(index)
        write = partial(holding.files[file].write, offset // pieces.PIECE, piece)
        future = self._writing.submit(write)
        future.add_done_callback(partial(self._written, holding, index))
        return asyncio.shield(future)  # who cancels does not keep it from being written

    def read(self, owner: str, index: int) -> "Future[bytes]":
        """Read a piece that is held.

        The result raises ChangedFileError when it is no longer what others were told: somebody
        wrote to the file. Raises KeyError, IndexError.
        """
        holding = self._holdings[owner]
        span = holding.layout.span(index)
        digest = holding.manifest.digest_of(index)
        return self._reading.submit(partial(read_piece, holding.files[span.file], span, digest))

    def locate(self, owner: str, index: int) -> Location | None:
        """Return where the bytes of a piece that is held are, for `os.sendfile`.

        None when they may have changed, since somebody has written to a file of one's own: then
        `read` it, which verifies what it reads. Raises KeyError, IndexError.
        """
        holding = self._holdings[owner]
        span = holding.layout.span(index)
        return holding.files[span.file].locate(span.offset, span.length)

    async def _add(self, manifest: Manifest) -> PieceSet:
        owner = manifest.owner
        async with self._placing:
            if known := self._holdings.get(owner):
                if known.manifest != manifest:
                    raise InvalidManifestError(
                        f"{owner} had other files when it was first heard of"
                    )
                return known.held
            pieces.check(manifest, self._max_size)
            holding = await self._opening.submit(partial(self._place, manifest))
            self._incoming[owner] = self._holdings[owner] = holding
        for number, file in enumerate(holding.files):
            if file.is_finished:
                self._tell(Arrived(owner, number, file.path))
            elif holding.is_whole(number):
                self._finish_soon(holding, number)
        return holding.held

    def _place(self, manifest: Manifest) -> Holding[Incoming]:
        files = self._shelf.place(manifest)
        self._note(manifest)
        holding = Holding(manifest, files)
        for number, file in enumerate(files):
            first = holding.layout.pieces(number).start
            for piece in file.written:
                holding.add(first + piece)
        return holding

    def _written(self, holding: Holding[Incoming], index: int, future: "Future[bool]") -> None:
        if not future.exception() and future.result() and holding.add(index):
            self._finish_soon(holding, holding.layout.span(index).file)

    def _finish_soon(self, holding: Holding[Incoming], number: int) -> None:
        if not self._stop.is_set():
            task = asyncio.create_task(self._finish(holding, number))
            self._finishes.add(task)
            task.add_done_callback(self._finishes.discard)

    async def _finish(self, holding: Holding[Incoming], number: int) -> None:
        owner, file = holding.manifest.owner, holding.files[number]
        try:
            spoilt = await self._finishing.submit(file.finish)
            if spoilt:
                # In the lane of those that write, lest a piece is forgotten after it came again.
                await self._writing.submit(partial(file.forget, spoilt))
        except disk.Stopped:
            return
        except PartialError as fault:
            self._tell(Failed(owner, number, fault))
            return
        if not spoilt:
            self._tell(Arrived(owner, number, file.path))
            return
        first = holding.layout.pieces(number).start
        indexes = tuple(first + piece for piece in spoilt)
        holding.discard(indexes)
        self._tell(Spoilt(owner, indexes))
