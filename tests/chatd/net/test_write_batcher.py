"""One write per connection and loop iteration."""

from collections.abc import Callable

import pytest

from chatd.core.send_queue import EncodedChunk, SendQueue
from chatd.net.write_batcher import MAX_WRITE, WriteBatcher
from common.messages.basic import Ping
from tests.support.fakes import ManualScheduler, drop


def test_however_much_is_queued_in_a_loop_iteration_it_is_flushed_once() -> None:
    scheduler, flushed = ManualScheduler(), list[str]()
    batcher = WriteBatcher(scheduler)
    ann = SendQueue(batcher.schedule, lambda: flushed.append("ann"), drop)
    bob = SendQueue(batcher.schedule, lambda: flushed.append("bob"), drop)
    for _ in range(3):
        ann.send(Ping())
        bob.put(EncodedChunk(b"x"))
    assert flushed == []
    scheduler.run()
    assert flushed == ["ann", "bob"]


def test_the_next_loop_iteration_flushes_again() -> None:
    scheduler, flushed = ManualScheduler(), list[str]()
    batcher = WriteBatcher(scheduler)
    ann = SendQueue(batcher.schedule, lambda: flushed.append("ann"), drop)
    for _ in range(3):
        ann.send(Ping())
        scheduler.run()
    scheduler.run()
    assert flushed == ["ann"] * 3


def test_what_a_flush_queues_elsewhere_is_flushed_too() -> None:
    scheduler, flushed = ManualScheduler(), list[str]()
    batcher = WriteBatcher(scheduler)
    bob = SendQueue(batcher.schedule, lambda: flushed.append("bob"), drop)
    ann = SendQueue(batcher.schedule, lambda: bob.send(Ping()), drop)
    ann.send(Ping())
    scheduler.run()
    assert flushed == ["bob"]


def test_a_flush_that_fails_keeps_no_other_from_theirs(caplog: pytest.LogCaptureFixture) -> None:
    scheduler, flushed = ManualScheduler(), list[str]()
    batcher = WriteBatcher(scheduler)

    def fail() -> None:
        raise RuntimeError("the transport is broken")

    ann, bob = (
        SendQueue(batcher.schedule, fail, drop),
        SendQueue(batcher.schedule, lambda: flushed.append("bob"), drop),
    )
    for _ in range(2):
        ann.send(Ping())
        bob.send(Ping())
        scheduler.run()
    assert flushed == ["bob", "bob"]
    assert len(caplog.records) == 2
    assert "RuntimeError: the transport is broken" in caplog.text


class FakeKernel:
    """Takes so many bytes of each write, and notes what it and the transport were given."""

    def __init__(self, window: int = MAX_WRITE, error: OSError | None = None) -> None:
        self.taken: list[tuple[int, bytes]] = []
        self.unfinished: list[bytes] = []
        """What the transport was given."""
        self.flushed = 0
        self._window = window
        self._error = error

    def write(self, descriptor: int, encoded: bytes) -> int:
        if self._error is not None:
            raise self._error
        self.taken.append((descriptor, encoded[: self._window]))
        return min(self._window, len(encoded))

    def flush(self) -> None:
        self.flushed += 1

    def send_queue(self, batcher: WriteBatcher, descriptor: int | None) -> SendQueue:
        send_queue = SendQueue(batcher.schedule, self.flush, self.unfinished.append)
        send_queue.descriptor = descriptor
        return send_queue


def test_what_one_write_takes_goes_straight_to_the_kernel() -> None:
    kernel = FakeKernel()
    batcher = WriteBatcher(ManualScheduler(), kernel.write)
    for descriptor in (7, 8):
        send_queue = kernel.send_queue(batcher, descriptor)
        send_queue.put(EncodedChunk(b"a\n"))
        send_queue.put(EncodedChunk(b"b\n"))
    batcher.flush()
    assert kernel.taken == [(7, b"a\nb\n"), (8, b"a\nb\n")]
    assert not kernel.unfinished
    assert not kernel.flushed


@pytest.mark.parametrize(
    ("kernel", "left"),
    [
        (FakeKernel(window=3), b"lo\n"),
        (FakeKernel(error=BlockingIOError()), b"hello\n"),
        (FakeKernel(error=BrokenPipeError()), b"hello\n"),
    ],
    ids=["part of it is taken", "nothing is taken", "nobody listens"],
)
def test_what_the_kernel_does_not_take_is_left_to_the_transport(
    kernel: FakeKernel, left: bytes
) -> None:
    batcher = WriteBatcher(ManualScheduler(), kernel.write)
    kernel.send_queue(batcher, 7).put(EncodedChunk(b"hello\n"))
    batcher.flush()
    assert kernel.unfinished == [left]
    assert kernel.flushed == 1


def test_what_is_more_than_one_write_is_flushed() -> None:
    kernel = FakeKernel()
    batcher = WriteBatcher(ManualScheduler(), kernel.write)
    send_queue = kernel.send_queue(batcher, 7)
    for _ in range(2):
        send_queue.put(EncodedChunk(b"x" * MAX_WRITE))
    batcher.flush()
    assert [len(encoded) for _, encoded in kernel.taken] == [MAX_WRITE]
    assert kernel.flushed == 1


def block(send_queue: SendQueue) -> None:
    send_queue.is_blocked = True


def let_refill(send_queue: SendQueue) -> None:
    send_queue.on_drained = lambda: None


def close(send_queue: SendQueue) -> None:
    send_queue.descriptor = None


@pytest.mark.parametrize("change", [block, let_refill, close])
def test_where_there_is_more_to_do_than_to_write_the_connection_does_it(
    change: Callable[[SendQueue], None],
) -> None:
    kernel = FakeKernel()
    batcher = WriteBatcher(ManualScheduler(), kernel.write)
    send_queue = kernel.send_queue(batcher, 7)
    change(send_queue)
    send_queue.put(EncodedChunk(b"a\n"))
    batcher.flush()
    assert kernel.flushed == 1
    assert not kernel.taken


def test_a_transport_that_fails_keeps_no_other_from_what_is_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(_encoded: bytes) -> None:
        raise RuntimeError("the transport is broken")

    kernel = FakeKernel(window=1)
    batcher = WriteBatcher(ManualScheduler(), kernel.write)
    broken, sound = kernel.send_queue(batcher, 7), kernel.send_queue(batcher, 8)
    broken.write = fail
    for send_queue in (broken, sound):
        send_queue.put(EncodedChunk(b"hello"))
    batcher.flush()
    assert kernel.unfinished == [b"ello"]
    assert "RuntimeError: the transport is broken" in caplog.text
