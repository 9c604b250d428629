"""Connections between two sockets of this machine."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from chatctl.share.connection import (
    MAX_DELAY,
    MAX_QUEUED_LINES,
    MIN_DELAY,
    MIN_READ,
    PeerConnection,
    PeerConnectionLostError,
    ReadCoalescer,
)
from chatctl.share.frames import Frame, PeerProtocolError
from chatctl.share.send_buffer import Traffic
from chatctl.share.storage.file_io import FileHandle, Location
from common.messages.peer_wire import (
    MAX_EXCHANGED,
    KeepAlive,
    ManifestHeader,
    PeerAddress,
    PeerExchange,
    Piece,
)
from tests.support.share_storage import RecordingConnection, socket_pair

SIZE: Final = 3_000_000


@pytest.fixture
async def ends() -> AsyncIterator[tuple[RecordingConnection, RecordingConnection]]:
    one, other = map(RecordingConnection, socket_pair())
    for end in (one, other):
        end.connection.decoder.limits = {Piece: SIZE, ManifestHeader: SIZE}
    yield one, other
    one.connection.close()
    other.connection.close()


def is_lost(end: RecordingConnection) -> bool:
    return end.close_error is not None


async def test_bytes_and_parts_of_files_come_in_their_order_and_lines_before_them(
    ends: tuple[RecordingConnection, RecordingConnection], tmp_path: Path
) -> None:
    one, other = ends
    content = os.urandom(SIZE)
    (tmp_path / "file").write_bytes(b"before" + content)
    file = FileHandle.open(tmp_path / "file", os.O_RDONLY)
    traffic = Traffic()
    piece, description = Piece("1", 0, 60_000), ManifestHeader("1", SIZE)
    for start in range(0, SIZE, 60_000):
        one.connection.send(piece, Location(file, 6 + start, 60_000), traffic)
    one.connection.send(description, content)
    one.connection.send(KeepAlive())
    await other.until(lambda end: Frame(description, bytearray(content)) in end.frames)
    pieces = SIZE // 60_000
    assert other.frames.pop(0) == Frame(KeepAlive(), None)
    assert other.frames[0 : 2 * pieces : 2] == [Frame(piece, None)] * pieces
    raw = [frame.raw for frame in other.frames[1 : 2 * pieces : 2]]
    assert b"".join(bytes(each or b"") for each in raw) == content
    assert other.frames[2 * pieces :] == [
        Frame(description, None),
        Frame(description, bytearray(content)),
    ]
    assert traffic.sent == SIZE


async def until_blocked(connection: PeerConnection) -> None:
    """Return when the kernel has taken nothing of `connection` ten times in a row."""
    since, unmoved = 0.0, 0
    while unmoved < 10:
        await asyncio.sleep(0.01)
        before, since = since, connection.blocked_for(0.0)
        unmoved = unmoved + 1 if since == before else 0


async def test_a_line_overtakes_payloads_that_have_not_begun(
    ends: tuple[RecordingConnection, RecordingConnection],
) -> None:
    one, other = ends
    other.connection.pause()
    first, second, third = (ManifestHeader(owner, SIZE) for owner in "123")
    for description in (first, second, third):
        one.connection.send(description, bytes(SIZE))
    await until_blocked(one.connection)
    one.connection.send(KeepAlive())
    other.connection.resume()
    await other.until(lambda end: len(end.frames) == 7)
    said = [frame.message for frame in other.frames]
    assert said == [first, first, KeepAlive(), second, second, third, third]


async def test_an_invalid_message_closes_the_connection_with_the_reason(
    ends: tuple[RecordingConnection, RecordingConnection],
) -> None:
    one, other = ends
    one.connection.send(ManifestHeader("1", SIZE + 1))
    await other.until(is_lost)
    assert isinstance(other.close_error, PeerProtocolError)
    await one.until(is_lost)
    assert isinstance(one.close_error, PeerConnectionLostError)


async def test_on_frame_may_close_the_connection(
    ends: tuple[RecordingConnection, RecordingConnection],
) -> None:
    one, other = ends

    def refuse(_frame: Frame) -> None:
        raise PeerProtocolError("says what it should not")

    other.connection.on_frame = refuse
    one.connection.send(KeepAlive())
    await other.until(is_lost)
    assert str(other.close_error) == "says what it should not"


async def test_no_frame_is_passed_on_after_a_close(
    ends: tuple[RecordingConnection, RecordingConnection],
) -> None:
    one, other = ends
    other.connection.on_frame = lambda _frame: other.connection.close()
    for _ in range(3):
        one.connection.send(KeepAlive())
    await one.until(is_lost)
    assert other.close_error is None
    other.connection.send(KeepAlive())


async def test_a_peer_that_does_not_read_is_disconnected_when_too_many_lines_wait(
    ends: tuple[RecordingConnection, RecordingConnection],
) -> None:
    one, other = ends
    other.connection.pause()
    line = PeerExchange([PeerAddress("1" * 64, "h" * 255, 4000)] * MAX_EXCHANGED)
    while one.close_error is None:
        one.connection.send(line)
        await asyncio.sleep(0)
    assert isinstance(one.close_error, PeerProtocolError)
    assert "does not read" in str(one.close_error)


async def test_the_time_for_which_sending_is_blocked_is_known(
    ends: tuple[RecordingConnection, RecordingConnection],
) -> None:
    one, other = ends
    loop = asyncio.get_running_loop()
    assert one.connection.blocked_for(loop.time() + 100) == 0
    other.connection.pause()
    one.connection.send(ManifestHeader("1", SIZE), bytes(10 * MAX_QUEUED_LINES))
    await asyncio.sleep(0)
    assert one.connection.blocked_for(loop.time() + 100) >= 99


async def test_a_paused_connection_reads_nothing_until_it_resumes(
    ends: tuple[RecordingConnection, RecordingConnection],
) -> None:
    one, other = ends
    other.connection.pause()
    one.connection.send(KeepAlive())
    with suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            await other.until(lambda end: bool(end.frames))
    assert other.frames == []
    other.connection.resume()
    await other.until(lambda end: bool(end.frames))


async def test_a_graceful_close_sends_what_waits(
    ends: tuple[RecordingConnection, RecordingConnection],
) -> None:
    one, other = ends
    description = ManifestHeader("1", SIZE)
    one.connection.send(description, bytes(SIZE))
    await one.connection.close_gracefully(20.0)
    assert one.connection.is_closed
    assert other.frames == [Frame(description, None), Frame(description, bytearray(SIZE))]
    assert str(other.close_error) == "closed the connection"


async def test_a_graceful_close_ends_although_the_other_side_stays_open(
    ends: tuple[RecordingConnection, RecordingConnection],
) -> None:
    one, other = ends
    other.connection.pause()
    one.connection.send(KeepAlive())
    await one.connection.close_gracefully(0.05)
    assert one.connection.is_closed


async def test_a_file_that_shrank_closes_the_connection(
    ends: tuple[RecordingConnection, RecordingConnection], tmp_path: Path
) -> None:
    one, other = ends
    (tmp_path / "file").write_bytes(bytes(10))
    file = FileHandle.open(tmp_path / "file", os.O_RDONLY)
    one.connection.send(Piece("1", 0, 20), Location(file, 0, 20))
    await one.until(is_lost)
    assert "now ends at byte 10" in str(one.close_error)
    await other.until(is_lost)


async def test_the_last_message_before_a_close_arrives(
    ends: tuple[RecordingConnection, RecordingConnection],
) -> None:
    one, _ = ends
    one.connection.abort("was silent for 10 s")
    assert str(one.close_error) == "was silent for 10 s"
    one.connection.abort("was silent again")
    assert str(one.close_error) == "was silent for 10 s"


PIECE = 64 * 2**10


def delays(coalescer: ReadCoalescer, rate: float, pieces: int, begin: float = 0.0) -> list[float]:
    """Read pieces that come at `rate` (B/s) as soon as one may, each ms at most."""
    paused = [0.0]
    now, left, came = begin, PIECE, 0.0
    while pieces:
        passed = max(0.001, paused[-1])
        now, came = now + passed, came + rate * passed
        size = min(round(came), left)
        came -= size
        left -= size
        paused.append(coalescer.delay(size, left, now))
        if not left:
            pieces, left = pieces - 1, PIECE
    return paused


def test_on_a_slow_connection_reads_are_delayed_as_long_as_allowed() -> None:
    paused = delays(ReadCoalescer(), 200_000.0, pieces=5)
    assert max(paused) == MAX_DELAY
    assert paused.count(MAX_DELAY) > 5 * PIECE / 200_000.0 / MAX_DELAY / 2


def test_on_a_faster_connection_reads_wait_for_a_number_of_bytes() -> None:
    rate = 2e6
    coalescer = ReadCoalescer()
    delays(coalescer, rate, pieces=2)
    paused = delays(coalescer, rate, pieces=20, begin=10.0)
    assert 0.8 * MIN_READ / rate < max(paused) < 1.2 * MIN_READ / rate
    assert len(paused) < 1.5 * 20 * -(-PIECE // MIN_READ) + 20


def test_a_fast_connection_is_read_at_once() -> None:
    assert set(delays(ReadCoalescer(), 2 * MIN_READ / MIN_DELAY, pieces=50)) == {0.0}


def test_between_pieces_no_read_is_delayed() -> None:
    coalescer = ReadCoalescer()
    delays(coalescer, 200_000.0, pieces=5)
    assert coalescer.delay(100, 0, 60.0) == 0.0


def test_the_end_of_a_piece_is_not_waited_for_longer_than_it_takes() -> None:
    coalescer = ReadCoalescer()
    delays(coalescer, 200_000.0, pieces=5)
    assert coalescer.delay(100, 1_000, 60.0) <= 1.5 * 1_000 / 200_000.0


def test_idle_time_does_not_count_in_the_rate() -> None:
    coalescer = ReadCoalescer()
    delays(coalescer, 2e6, pieces=5)
    paused = delays(coalescer, 2e6, pieces=5, begin=60.0)
    assert max(paused) < 2 * MIN_READ / 2e6
