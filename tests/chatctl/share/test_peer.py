"""Pieces on their way to the disk, and peers that are paused for it."""

import asyncio
from asyncio import Future
from typing import cast

from chatctl.share.peer import MAX_UNWRITTEN, Peer, PieceWriter
from chatctl.share.storage.store import Store
from common.messages.peer_wire import Piece

PIECE = Piece("2", 0, 1)


class FakeStore:
    """A store that writes when it is told."""

    def __init__(self) -> None:
        self.writing: list[Future[bool]] = []

    def write(self, _owner: str, _index: int, _piece: bytearray) -> "Future[bool]":
        self.writing.append(asyncio.get_running_loop().create_future())
        return self.writing[-1]

    async def finish(self, count: int, *, is_right: bool = True) -> None:
        for _ in range(count):
            self.writing.pop(0).set_result(is_right)
        await asyncio.sleep(0)


class PausablePeer:
    """A peer, and its connection at once, of which only pausing matters."""

    def __init__(self) -> None:
        self.connection = self
        self.calls: list[str] = []

    def pause(self) -> None:
        self.calls.append("pause")

    def resume(self) -> None:
        self.calls.append("resume")


class WriterHarness:
    def __init__(self) -> None:
        self.store, self.fake_peer = FakeStore(), PausablePeer()
        self.written: list[bool] = []
        self.errors: list[BaseException] = []
        self.peer = cast(Peer, self.fake_peer)
        self.piece_writer = PieceWriter(
            cast(Store, self.store),
            {"2": self.peer},
            on_written=lambda _peer, _piece, is_right: self.written.append(is_right),
            on_error=self.errors.append,
        )

    def write(self, count: int) -> None:
        for _ in range(count):
            self.piece_writer.write(self.peer, PIECE, bytearray(1))


async def test_no_peer_is_read_while_too_many_pieces_wait_for_the_disk() -> None:
    harness = WriterHarness()
    harness.write(MAX_UNWRITTEN - 1)
    assert harness.fake_peer.calls == []
    harness.write(1)
    assert harness.fake_peer.calls == ["pause"]
    await harness.store.finish(MAX_UNWRITTEN // 2 - 1)
    assert harness.fake_peer.calls == ["pause"]
    await harness.store.finish(1)
    assert harness.fake_peer.calls == ["pause", "resume"]
    assert harness.written == [True] * (MAX_UNWRITTEN // 2)


async def test_a_corrupt_piece_is_reported() -> None:
    harness = WriterHarness()
    harness.write(1)
    await harness.store.finish(1, is_right=False)
    assert harness.written == [False]


async def test_a_write_error_is_reported() -> None:
    harness = WriterHarness()
    harness.write(1)
    error = OSError("no space left on device")
    harness.store.writing[0].set_exception(error)
    await asyncio.sleep(0)
    assert harness.errors == [error]
    assert harness.written == []
