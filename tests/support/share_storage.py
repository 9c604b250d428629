"""A store under test, connections that record their frames, and a writer that a test kills.

Run as ``python -m tests.support.share_storage DIRECTORY``, this module writes pieces until it is
killed, and prints which it has written.
"""

import asyncio
import hashlib
import resource
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from random import Random
from typing import Final, Self

from chatctl.share.connection import PeerConnection
from chatctl.share.frames import Frame
from chatctl.share.storage.store import StorageEvent, Store
from chatctl.share.swarm import REGISTRY
from common.manifest import PIECE_SIZE, FileEntry, Layout, Manifest

MB: Final = 2**20

BURST: Final = 8
"""Pieces that the writer writes at once."""

TIMEOUT: Final = 60.0
"""A generous limit (s) for waiting."""


class RecordingConnection:
    """A connection that records its frames, and the error that closed it."""

    def __init__(self, sock: socket.socket) -> None:
        self.frames: list[Frame] = []
        self.close_error: Exception | None = None
        self._changed = asyncio.Event()
        self.connection = PeerConnection(sock, REGISTRY, self._on_frame, self._on_close)

    async def until(self, condition: Callable[[Self], bool]) -> None:
        """Wait until `condition` holds for this end."""
        async with asyncio.timeout(TIMEOUT):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()

    def _on_frame(self, frame: Frame) -> None:
        self.frames.append(frame)
        self._changed.set()

    def _on_close(self, error: Exception) -> None:
        self.close_error = error
        self._changed.set()


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Return two sockets that are connected over TCP."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        other, _ = server.accept()
    return one, other


class PeerFiles:
    """The files of a peer, names and contents, with their pieces and manifest."""

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
    """An open store and its events."""

    def __init__(self, directory: Path, max_size: int) -> None:
        self.events: asyncio.Queue[StorageEvent] = asyncio.Queue()
        self.store = Store(directory, max_size=max_size, emit=self.events.put_nowait)

    async def write_pieces(
        self, peer: PeerFiles, indexes: Iterable[int] | None = None
    ) -> list[bool]:
        """Write the pieces of `peer` in `indexes`, by default all that are missing."""
        owner = peer.manifest.owner
        if indexes is None:
            held = self.store.held(owner)
            indexes = [index for index in range(len(peer.pieces)) if not held[index]]
        writes = (self.store.write(owner, index, peer.pieces[index]) for index in indexes)
        return await asyncio.gather(*writes)

    async def fetch(self, peer: PeerFiles) -> list[StorageEvent]:
        """Write all files of `peer`; return an event for each."""
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


def written_peer() -> PeerFiles:
    """Return the files that the program writes."""
    return PeerFiles(
        "1",
        ("big.bin", random_bytes(300 * PIECE_SIZE + 1)),
        ("small.txt", random_bytes(PIECE_SIZE, 2)),
    )


async def write(directory: Path) -> None:
    """Write all pieces but the last, in random order."""
    peer = written_peer()
    order = list(range(len(peer.pieces) - 1))
    Random(1).shuffle(order)
    async with open_store(directory) as harness:
        await harness.store.add(peer.manifest)
        for start in range(0, len(order), BURST):
            burst = order[start : start + BURST]
            await harness.write_pieces(peer, burst)
            sys.stdout.write(f"{' '.join(map(str, burst))}\n")
            sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1])))
