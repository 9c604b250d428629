"""Pieces on their way to the disk, and partners that are paused for it."""

import asyncio
from asyncio import Future
from typing import cast

from chatctl.sharing.landing import MAX_UNWRITTEN, Landing
from chatctl.sharing.partner import Partner
from chatctl.sharing.store import Store
from common.messages.swarm import Piece

PIECE = Piece("2", 0, 1)


class Disk:
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


class Reader:
    """A partner, and its link at once, of which only pausing matters."""

    def __init__(self) -> None:
        self.link = self
        self.told: list[str] = []

    def pause(self) -> None:
        self.told.append("pause")

    def resume(self) -> None:
        self.told.append("resume")


class Scene:
    def __init__(self) -> None:
        self.disk, self.reader = Disk(), Reader()
        self.landed: list[bool] = []
        self.faults: list[BaseException] = []
        self.partner = cast(Partner, self.reader)
        self.landing = Landing(
            cast(Store, self.disk),
            {"2": self.partner},
            land=lambda _partner, _piece, is_right: self.landed.append(is_right),
            fail=self.faults.append,
        )

    def take(self, count: int) -> None:
        for _ in range(count):
            self.landing.take(self.partner, PIECE, bytearray(1))


async def test_nobody_is_read_from_while_too_many_pieces_wait_for_the_disk() -> None:
    scene = Scene()
    scene.take(MAX_UNWRITTEN - 1)
    assert scene.reader.told == []
    scene.take(1)
    assert scene.reader.told == ["pause"]
    await scene.disk.finish(MAX_UNWRITTEN // 2 - 1)
    assert scene.reader.told == ["pause"]
    await scene.disk.finish(1)
    assert scene.reader.told == ["pause", "resume"]
    assert scene.landed == [True] * (MAX_UNWRITTEN // 2)


async def test_a_piece_that_is_not_what_was_announced_is_told() -> None:
    scene = Scene()
    scene.take(1)
    await scene.disk.finish(1, is_right=False)
    assert scene.landed == [False]


async def test_what_keeps_a_piece_from_being_written_is_told() -> None:
    scene = Scene()
    scene.take(1)
    fault = OSError("no space left on device")
    scene.disk.writing[0].set_exception(fault)
    await asyncio.sleep(0)
    assert scene.faults == [fault]
    assert scene.landed == []
