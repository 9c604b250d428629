"""One write per connection and loop iteration."""

import os
from collections.abc import Callable

import pytest

from chatd.core.metrics import Metrics
from chatd.core.send_queue import EncodedChunk, SendQueue
from chatd.net.write_batcher import MAX_WRITE, DirectWriter, WriteBatcher
from common.messages.basic import Ping
from tests.support.fakes import ManualScheduler


def test_however_much_is_queued_in_a_loop_iteration_it_is_flushed_once() -> None:
    scheduler, flushed = ManualScheduler(), list[str]()
    batcher = WriteBatcher(scheduler, Metrics())
    ann = SendQueue(batcher.schedule, lambda _: flushed.append("ann"))
    bob = SendQueue(batcher.schedule, lambda _: flushed.append("bob"))
    for _ in range(3):
        ann.send(Ping())
        bob.put(EncodedChunk(b"x"))
    assert flushed == []
    scheduler.run()
    assert flushed == ["ann", "bob"]


def test_the_next_loop_iteration_flushes_again() -> None:
    scheduler, flushed = ManualScheduler(), list[str]()
    batcher = WriteBatcher(scheduler, Metrics())
    ann = SendQueue(batcher.schedule, lambda _: flushed.append("ann"))
    for _ in range(3):
        ann.send(Ping())
        scheduler.run()
    scheduler.run()
    assert flushed == ["ann"] * 3


def test_what_a_flush_queues_elsewhere_is_flushed_too() -> None:
    scheduler, flushed = ManualScheduler(), list[str]()
    batcher = WriteBatcher(scheduler, Metrics())
    bob = SendQueue(batcher.schedule, lambda _: flushed.append("bob"))
    ann = SendQueue(batcher.schedule, lambda _: bob.send(Ping()))
    ann.send(Ping())
    scheduler.run()
    assert flushed == ["bob"]


def test_a_flush_that_fails_keeps_no_other_from_theirs(caplog: pytest.LogCaptureFixture) -> None:
    scheduler, flushed = ManualScheduler(), list[str]()
    batcher = WriteBatcher(scheduler, Metrics())

    def fail(_remainder: bytes) -> None:
        raise RuntimeError("the transport is broken")

    ann, bob = (
        SendQueue(batcher.schedule, fail),
        SendQueue(batcher.schedule, lambda _: flushed.append("bob")),
    )
    for _ in range(2):
        ann.send(Ping())
        bob.send(Ping())
        scheduler.run()
    assert flushed == ["bob", "bob"]
    assert len(caplog.records) == 2
    assert "RuntimeError: the transport is broken" in caplog.text


class FakeKernel:
    """Takes so many bytes of each write, and notes what it and `flush` were given."""

    def __init__(self, window: int = MAX_WRITE, error: Exception | None = None) -> None:
        self.taken: list[bytes] = []
        self.unfinished: list[bytes] = []
        """What `flush` was given."""
        self._window = window
        self._error = error

    def write(self, encoded: bytes) -> int:
        if self._error is not None:
            raise self._error
        self.taken.append(encoded[: self._window])
        return min(self._window, len(encoded))

    def send_queue(self, batcher: WriteBatcher) -> SendQueue:
        return SendQueue(batcher.schedule, self.unfinished.append, self)


def make_batcher() -> WriteBatcher:
    return WriteBatcher(ManualScheduler(), Metrics())


def test_what_one_write_takes_goes_straight_to_the_kernel() -> None:
    kernel, batcher = FakeKernel(), make_batcher()
    for _ in range(2):
        send_queue = kernel.send_queue(batcher)
        send_queue.put(EncodedChunk(b"a\n"))
        send_queue.put(EncodedChunk(b"b\n"))
    batcher.flush()
    assert kernel.taken == [b"a\nb\n", b"a\nb\n"]
    assert not kernel.unfinished


@pytest.mark.parametrize(
    ("kernel", "left"),
    [
        (FakeKernel(window=3), b"lo\n"),
        (FakeKernel(error=BlockingIOError()), b"hello\n"),
        (FakeKernel(error=BrokenPipeError()), b"hello\n"),
    ],
    ids=["part of it is taken", "nothing is taken", "nobody listens"],
)
def test_what_the_kernel_does_not_take_is_left_to_the_flush(
    kernel: FakeKernel, left: bytes
) -> None:
    batcher = make_batcher()
    kernel.send_queue(batcher).put(EncodedChunk(b"hello\n"))
    batcher.flush()
    assert kernel.unfinished == [left]


def test_what_is_more_than_one_write_is_flushed() -> None:
    kernel, batcher = FakeKernel(), make_batcher()
    send_queue = kernel.send_queue(batcher)
    for _ in range(2):
        send_queue.put(EncodedChunk(b"x" * MAX_WRITE))
    batcher.flush()
    assert [len(encoded) for encoded in kernel.taken] == [MAX_WRITE]
    assert kernel.unfinished == [b""]


def block(send_queue: SendQueue) -> None:
    send_queue.is_blocked = True


def let_refill(send_queue: SendQueue) -> None:
    send_queue.on_drained = lambda: None


def close(send_queue: SendQueue) -> None:
    send_queue.writer = None


@pytest.mark.parametrize("change", [block, let_refill, close])
def test_where_there_is_more_to_do_than_to_write_the_connection_does_it(
    change: Callable[[SendQueue], None],
) -> None:
    kernel, batcher = FakeKernel(), make_batcher()
    send_queue = kernel.send_queue(batcher)
    change(send_queue)
    send_queue.put(EncodedChunk(b"a\n"))
    batcher.flush()
    assert kernel.unfinished == [b""]
    assert not kernel.taken


def test_a_writer_that_fails_keeps_no_other_from_what_is_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    batcher = make_batcher()
    broken = FakeKernel(error=RuntimeError("the transport is broken"))
    sound = FakeKernel(window=1)
    for kernel in (broken, sound):
        kernel.send_queue(batcher).put(EncodedChunk(b"hello"))
    batcher.flush()
    assert (broken.unfinished, sound.unfinished) == ([], [b"ello"])
    assert "RuntimeError: the transport is broken" in caplog.text


def test_the_bytes_that_were_written_are_counted() -> None:
    metrics = Metrics()
    batcher = WriteBatcher(ManualScheduler(), metrics)
    for kernel in (FakeKernel(), FakeKernel(window=3), FakeKernel(error=BlockingIOError())):
        kernel.send_queue(batcher).put(EncodedChunk(b"hello"))
    batcher.flush()
    assert metrics.bytes_sent == 8


def test_a_direct_writer_writes_what_the_kernel_takes() -> None:
    reading, writing = os.pipe()
    try:
        os.set_blocking(writing, False)
        writer = DirectWriter(writing)
        assert writer.write(b"hello") == 5
        assert os.read(reading, 10) == b"hello"
        taken = writer.write(b"x" * 2**24)
        assert 0 < taken < 2**24
        with pytest.raises(BlockingIOError):
            writer.write(b"x" * 2**16)
    finally:
        os.close(reading)
        os.close(writing)
