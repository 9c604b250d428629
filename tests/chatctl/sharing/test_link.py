"""Links between two sockets of this machine."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from chatctl.sharing.handles import Handle, Location
from chatctl.sharing.link import MAX_LINES, LinkLostError
from chatctl.sharing.outgoing import Traffic
from chatctl.sharing.wire import Frame, WireError
from common.messages.introduction import KeepAlive, ManifestHeader
from common.messages.swarm import Piece, RequestPiece
from tests.chatctl.sharing.links import End, pair

SIZE: Final = 3_000_000


@pytest.fixture
async def ends() -> AsyncIterator[tuple[End, End]]:
    one, other = map(End, pair())
    for end in (one, other):
        end.link.reader.limits = {Piece: SIZE, ManifestHeader: SIZE}
    yield one, other
    one.link.close()
    other.link.close()


def is_lost(end: End) -> bool:
    return end.lost is not None


async def test_bytes_and_parts_of_files_come_in_their_order_and_lines_before_them(
    ends: tuple[End, End], tmp_path: Path
) -> None:
    one, other = ends
    content = os.urandom(SIZE)
    (tmp_path / "file").write_bytes(b"before" + content)
    file = Handle.open(tmp_path / "file", os.O_RDONLY)
    traffic = Traffic()
    piece, description = Piece("1", 0, 60_000), ManifestHeader("1", SIZE)
    for start in range(0, SIZE, 60_000):
        one.link.send(piece, Location(file, 6 + start, 60_000), traffic)
    one.link.send(description, content)
    one.link.send(KeepAlive())
    await other.until(lambda end: Frame(description, bytearray(content)) in end.heard)
    pieces = SIZE // 60_000
    assert other.heard.pop(0) == Frame(KeepAlive(), None)
    assert other.heard[0 : 2 * pieces : 2] == [Frame(piece, None)] * pieces
    raw = [frame.raw for frame in other.heard[1 : 2 * pieces : 2]]
    assert b"".join(bytes(each or b"") for each in raw) == content
    assert other.heard[2 * pieces :] == [
        Frame(description, None),
        Frame(description, bytearray(content)),
    ]
    assert traffic.sent == SIZE


async def test_a_line_overtakes_what_has_not_begun_and_interrupts_nothing(
    ends: tuple[End, End],
) -> None:
    one, other = ends
    other.link.pause()
    first, second, third = (ManifestHeader(owner, SIZE) for owner in "123")
    for description in (first, second, third):
        one.link.send(description, bytes(SIZE))
    while one.link.stuck_for(time.monotonic()) < 0.05:  # noqa: ASYNC110 - the kernel has room
        await asyncio.sleep(0.01)
    one.link.send(KeepAlive())
    other.link.resume()
    await other.until(lambda end: len(end.heard) == 7)
    said = [frame.message for frame in other.heard]
    assert said == [first, first, KeepAlive(), second, second, third, third]


async def test_what_is_no_message_ends_it_with_the_reason(ends: tuple[End, End]) -> None:
    one, other = ends
    one.link.send(ManifestHeader("1", SIZE + 1))
    await other.until(is_lost)
    assert isinstance(other.lost, WireError)
    await one.until(is_lost)
    assert isinstance(one.lost, LinkLostError)


async def test_who_hears_may_end_it(ends: tuple[End, End]) -> None:
    one, other = ends

    def refuse(_frame: Frame) -> None:
        raise WireError("says what it should not")

    other.link.hear = refuse
    one.link.send(KeepAlive())
    await other.until(is_lost)
    assert str(other.lost) == "says what it should not"


async def test_nothing_is_heard_behind_a_close(ends: tuple[End, End]) -> None:
    one, other = ends
    other.link.hear = lambda _frame: other.link.close()
    for _ in range(3):
        one.link.send(KeepAlive())
    await one.until(is_lost)
    assert other.lost is None
    other.link.send(KeepAlive())


async def test_who_does_not_read_is_noticed_and_gets_no_more_lines_than_fit(
    ends: tuple[End, End],
) -> None:
    one, other = ends
    other.link.pause()
    line = RequestPiece("1" * 64, 1)
    while one.lost is None:
        one.link.send(line)
        await asyncio.sleep(0)
    assert isinstance(one.lost, WireError)
    assert "does not read" in str(one.lost)


async def test_how_long_nothing_was_taken_is_known(ends: tuple[End, End]) -> None:
    one, other = ends
    loop = asyncio.get_running_loop()
    assert one.link.stuck_for(loop.time() + 100) == 0
    other.link.pause()
    one.link.send(ManifestHeader("1", SIZE), bytes(10 * MAX_LINES))
    await asyncio.sleep(0)
    assert one.link.stuck_for(loop.time() + 100) >= 99


async def test_who_pauses_hears_nothing_until_it_reads_on(ends: tuple[End, End]) -> None:
    one, other = ends
    other.link.pause()
    one.link.send(KeepAlive())
    with suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            await other.until(lambda end: bool(end.heard))
    assert other.heard == []
    other.link.resume()
    await other.until(lambda end: bool(end.heard))


async def test_finishing_writes_what_waits_and_lets_the_other_side_close(
    ends: tuple[End, End],
) -> None:
    one, other = ends
    description = ManifestHeader("1", SIZE)
    one.link.send(description, bytes(SIZE))
    await one.link.finish(20.0)
    assert one.link.is_over
    assert other.heard == [Frame(description, None), Frame(description, bytearray(SIZE))]
    assert str(other.lost) == "closed the connection"


async def test_finishing_ends_although_the_other_side_does_not(ends: tuple[End, End]) -> None:
    one, other = ends
    other.link.pause()
    one.link.send(KeepAlive())
    await one.link.finish(0.05)
    assert one.link.is_over


async def test_a_file_that_shrank_meanwhile_ends_it(ends: tuple[End, End], tmp_path: Path) -> None:
    one, other = ends
    (tmp_path / "file").write_bytes(bytes(10))
    file = Handle.open(tmp_path / "file", os.O_RDONLY)
    one.link.send(Piece("1", 0, 20), Location(file, 0, 20))
    await one.until(is_lost)
    assert "now ends at byte 10" in str(one.lost)
    await other.until(is_lost)


async def test_what_one_says_last_is_told(ends: tuple[End, End]) -> None:
    one, _ = ends
    one.link.lose_with("was silent for 10 s")
    assert str(one.lost) == "was silent for 10 s"
    one.link.lose_with("was silent again")
    assert str(one.lost) == "was silent for 10 s"
