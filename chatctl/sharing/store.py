"""What a sharing peer keeps on disk: its own files where they are, those of others as they come."""

from asyncio import Future
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol, Self, TypeAlias

from msgspec import Struct

from chatctl.sharing.manifest import Collection
from common.pieces import Bitfield, Manifest


class HasFileno(Protocol):
    """An open file, which is closed when nobody refers to it any more."""

    def fileno(self) -> int:
        """Return the descriptor."""


class Location(NamedTuple):
    """Bytes to send: `length` of them from `offset` of `file`. Keep it until they are sent."""

    file: HasFileno
    offset: int
    length: int


class Arrived(Struct, frozen=True):
    """File number `file` of `owner` is whole, checked, on disk for good, and named `path`."""

    owner: str
    file: int
    path: Path


class Spoilt(Struct, frozen=True):
    """These pieces of `owner` were written and are not there as they were: fetch them again."""

    owner: str
    pieces: tuple[int, ...]


class Failed(Struct, frozen=True):
    """File number `file` of `owner` cannot be finished; `fault` says why, for people."""

    owner: str
    file: int
    fault: Exception


Event: TypeAlias = Arrived | Spoilt | Failed


class Store:
    """The files of one run, in the output directory `directory` and wherever one's own are.

    Hashes and reads and writes in threads; all methods belong to the loop's thread. `tell` is
    called there with what becomes of files.
    """

    def __init__(
        self, directory: Path, *, max_size: int, tell: Callable[[Event], object]
    ) -> None: ...

    async def __aenter__(self) -> Self:
        """Make the directory, and lock it.

        Raises UsageError when it cannot be written, or another run uses it.
        """
        raise NotImplementedError

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what is waiting, and let the directory go. Unfinished files stay as `.part`."""
        raise NotImplementedError

    def share(self, collection: Collection) -> None:
        """Serve one's own files, where they are."""
        raise NotImplementedError

    async def add(self, manifest: Manifest) -> Bitfield:
        """Make room for the files of a peer, and return the pieces that are already there.

        What an earlier run left is hashed first; files that are whole are told of (`Arrived`)
        before this returns. Raises BadManifestError when they are larger than `max_size`, and
        DiskFullError.
        """
        raise NotImplementedError

    def held(self, owner: str) -> Bitfield:
        """Return the pieces of `owner` that can be read: verified, and written."""
        raise NotImplementedError

    def write(self, owner: str, index: int, piece: bytes | bytearray | memoryview) -> Future[bool]:
        """Verify a piece, and write it; the result is whether it is what the owner announced.

        `piece` must not change until then. False: it was not written, and who sent it lies. The
        result raises DiskFullError (nothing is spoilt, the piece may be written again later).
        Those that wait together are hashed and written in one go.
        """
        raise NotImplementedError

    def read(self, owner: str, index: int) -> Future[bytes]:
        """Read a piece that is held.

        The result raises ChangedFileError when a file of one's own has changed, so that others
        cannot have this piece.
        """
        raise NotImplementedError

    def locate(self, owner: str, index: int) -> Location | None:
        """Return where the bytes of a held piece are, for `os.sendfile`.

        None when they may have changed since they were hashed (a file of one's own that was
        written to since): then `read` looks.
        """
        raise NotImplementedError
