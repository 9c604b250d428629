"""One write per connection and turn of the loop."""

from collections.abc import Callable

import pytest

from chatd.outbox import Outbox, Part
from chatd.turn import CHUNK, Turn
from common.messages.basic import Ping
from tests.chatd.lone import drop
from tests.chatd.stand_ins import Deferred


def test_however_much_is_queued_in_a_turn_it_is_flushed_once() -> None:
    end_turn, flushed = Deferred(), list[str]()
    turn = Turn(end_turn)
    ann = Outbox(turn.wake, lambda: flushed.append("ann"), drop)
    bob = Outbox(turn.wake, lambda: flushed.append("bob"), drop)
    for _ in range(3):
        ann.send(Ping())
        bob.put(Part(b"x"))
    assert flushed == []
    end_turn.run()
    assert flushed == ["ann", "bob"]


def test_the_next_turn_flushes_again() -> None:
    end_turn, flushed = Deferred(), list[str]()
    turn = Turn(end_turn)
    ann = Outbox(turn.wake, lambda: flushed.append("ann"), drop)
    for _ in range(3):
        ann.send(Ping())
        end_turn.run()
    end_turn.run()
    assert flushed == ["ann"] * 3


def test_what_a_flush_queues_elsewhere_is_flushed_too() -> None:
    end_turn, flushed = Deferred(), list[str]()
    turn = Turn(end_turn)
    bob = Outbox(turn.wake, lambda: flushed.append("bob"), drop)
    ann = Outbox(turn.wake, lambda: bob.send(Ping()), drop)
    ann.send(Ping())
    end_turn.run()
    assert flushed == ["bob"]


def test_a_flush_that_fails_keeps_no_other_from_theirs(caplog: pytest.LogCaptureFixture) -> None:
    end_turn, flushed = Deferred(), list[str]()
    turn = Turn(end_turn)

    def fail() -> None:
        raise RuntimeError("the transport is broken")

    ann, bob = Outbox(turn.wake, fail, drop), Outbox(turn.wake, lambda: flushed.append("bob"), drop)
    for _ in range(2):
        ann.send(Ping())
        bob.send(Ping())
        end_turn.run()
    assert flushed == ["bob", "bob"]
    assert len(caplog.records) == 2
    assert "RuntimeError: the transport is broken" in caplog.text


class Kernel:
    """Takes so many bytes of each write, and notes what it and the transport were given."""

    def __init__(self, room: int = CHUNK, fault: OSError | None = None) -> None:
        self.taken: list[tuple[int, bytes]] = []
        self.left: list[bytes] = []
        """What the transport was given."""
        self.flushed = 0
        self._room = room
        self._fault = fault

    def write(self, descriptor: int, encoded: bytes) -> int:
        if self._fault is not None:
            raise self._fault
        self.taken.append((descriptor, encoded[: self._room]))
        return min(self._room, len(encoded))

    def flush(self) -> None:
        self.flushed += 1

    def outbox(self, turn: Turn, descriptor: int | None) -> Outbox:
        outbox = Outbox(turn.wake, self.flush, self.left.append)
        outbox.descriptor = descriptor
        return outbox


def test_what_one_write_takes_goes_straight_to_the_kernel() -> None:
    kernel = Kernel()
    turn = Turn(Deferred(), kernel.write)
    for descriptor in (7, 8):
        outbox = kernel.outbox(turn, descriptor)
        outbox.put(Part(b"a\n"))
        outbox.put(Part(b"b\n"))
    turn.flush()
    assert kernel.taken == [(7, b"a\nb\n"), (8, b"a\nb\n")]
    assert not kernel.left
    assert not kernel.flushed


@pytest.mark.parametrize(
    ("kernel", "left"),
    [
        (Kernel(room=3), b"lo\n"),
        (Kernel(fault=BlockingIOError()), b"hello\n"),
        (Kernel(fault=BrokenPipeError()), b"hello\n"),
    ],
    ids=["part of it is taken", "nothing is taken", "nobody listens"],
)
def test_what_the_kernel_does_not_take_is_left_to_the_transport(
    kernel: Kernel, left: bytes
) -> None:
    turn = Turn(Deferred(), kernel.write)
    kernel.outbox(turn, 7).put(Part(b"hello\n"))
    turn.flush()
    assert kernel.left == [left]
    assert kernel.flushed == 1


def test_what_is_more_than_one_write_is_flushed() -> None:
    kernel = Kernel()
    turn = Turn(Deferred(), kernel.write)
    outbox = kernel.outbox(turn, 7)
    for _ in range(2):
        outbox.put(Part(b"x" * CHUNK))
    turn.flush()
    assert [len(encoded) for _, encoded in kernel.taken] == [CHUNK]
    assert kernel.flushed == 1


def block(outbox: Outbox) -> None:
    outbox.is_blocked = True


def let_refill(outbox: Outbox) -> None:
    outbox.refill = lambda: None


def close(outbox: Outbox) -> None:
    outbox.descriptor = None


@pytest.mark.parametrize("change", [block, let_refill, close])
def test_where_there_is_more_to_do_than_to_write_the_connection_does_it(
    change: Callable[[Outbox], None],
) -> None:
    kernel = Kernel()
    turn = Turn(Deferred(), kernel.write)
    outbox = kernel.outbox(turn, 7)
    change(outbox)
    outbox.put(Part(b"a\n"))
    turn.flush()
    assert kernel.flushed == 1
    assert not kernel.taken


def test_a_transport_that_fails_keeps_no_other_from_what_is_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(_encoded: bytes) -> None:
        raise RuntimeError("the transport is broken")

    kernel = Kernel(room=1)
    turn = Turn(Deferred(), kernel.write)
    broken, sound = kernel.outbox(turn, 7), kernel.outbox(turn, 8)
    broken.write = fail
    for outbox in (broken, sound):
        outbox.put(Part(b"hello"))
    turn.flush()
    assert kernel.left == [b"ello"]
    assert "RuntimeError: the transport is broken" in caplog.text
