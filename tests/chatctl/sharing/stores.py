"""A store to write to, and peers whose files it is given."""

import asyncio
import hashlib
import resource
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from random import Random
from typing import Final

from chatctl.sharing.store import StorageEvent, Store
from common.pieces import PIECE_SIZE, FileEntry, Layout, Manifest

MB: Final = 2**20


class PeerFiles:
    """A peer with these files, names and contents, as its manifest says."""

    def __init__(self, owner: str, *files: tuple[str, bytes]) -> None:
        self.contents = [content for _, content in files]
        cut = [
            content[start : start + PIECE_SIZE]
            for content in self.contents
            for start in range(0, len(content), PIECE_SIZE)
        ]
        self.pieces = cut
        self.manifest = Manifest(
            owner,
            tuple(
                FileEntry(name, len(content), hashlib.sha256(content).hexdigest())
                for name, content in files
            ),
            b"".join(hashlib.sha256(piece).digest() for piece in cut),
        )
        self.layout = Layout(map(len, self.contents))


class StoreHarness:
    """An open store, and what it tells."""

    def __init__(self, directory: Path, max_size: int) -> None:
        self.events: asyncio.Queue[StorageEvent] = asyncio.Queue()
        self.store = Store(directory, max_size=max_size, emit=self.events.put_nowait)

    async def write_pieces(
        self, peer: PeerFiles, indexes: Iterable[int] | None = None
    ) -> list[bool]:
        """Write pieces of `peer`, all that are missing unless `indexes` says which."""
        owner = peer.manifest.owner
        if indexes is None:
            held = self.store.held(owner)
            indexes = [index for index in range(len(peer.pieces)) if not held[index]]
        writes = (self.store.write(owner, index, peer.pieces[index]) for index in indexes)
        return await asyncio.gather(*writes)

    async def fetch(self, peer: PeerFiles) -> list[StorageEvent]:
        """Take all files of `peer`; return what is told of them."""
        await self.store.add(peer.manifest)
        await self.write_pieces(peer)
        return [await self.events.get() for _ in peer.contents]


@asynccontextmanager
async def open_store(directory: Path, max_size: int = 2**40) -> AsyncIterator[StoreHarness]:
    harness = StoreHarness(directory, max_size)
    async with harness.store:
        yield harness
    assert harness.events.empty(), harness.events.get_nowait()


def random_bytes(size: int, seed: int = 1) -> bytes:
    return Random(seed).randbytes(size)


def listing(directory: Path) -> dict[str, bytes]:
    """Return the contents of all files in `directory` by name."""
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@contextmanager
def limited_file_size(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond `size` bytes, as if the disk were full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
