"""Threads beside an event loop: waking, calling back, and blocking work in batches."""

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from threading import Thread

import pytest

from common.system.threads import LoopCaller, WakeupPipe, WorkerThread


def test_wait_returns_after_a_wake_even_one_from_before() -> None:
    wakeup = WakeupPipe()
    wakeup.wake()
    wakeup.wait()
    waiting = Thread(target=wakeup.wait)
    waiting.start()
    wakeup.wake()
    waiting.join(60)
    assert not waiting.is_alive()
    wakeup.close()


def test_wake_never_blocks() -> None:
    wakeup = WakeupPipe()
    for _ in range(100_000):
        wakeup.wake()
    wakeup.wait()
    wakeup.close()


async def test_calls_from_other_threads_keep_their_order() -> None:
    loop_caller, called, is_done = LoopCaller(), list[int](), asyncio.Event()

    def ask() -> None:
        for number in range(10_000):
            loop_caller.call(partial(called.append, number))
        loop_caller.call(is_done.set)

    asking = Thread(target=ask)
    asking.start()
    async with asyncio.timeout(60):
        await is_done.wait()
    asking.join()
    loop_caller.close()
    assert called == [*range(10_000)]


async def test_a_call_that_fails_does_not_stop_the_next(caplog: pytest.LogCaptureFixture) -> None:
    loop_caller, is_done = LoopCaller(), asyncio.Event()
    loop_caller.call(partial(list[int]().remove, 7))
    loop_caller.call(is_done.set)
    async with asyncio.timeout(60):
        await is_done.wait()
    loop_caller.close()
    assert "ValueError" in caplog.text


async def test_work_runs_in_order_in_one_other_thread() -> None:
    worker, done = WorkerThread("test"), list[int]()

    def work(number: int) -> Callable[[], str]:
        def run() -> str:
            done.append(number)
            return f"{number} in {threading.current_thread().name}"

        return run

    results = await asyncio.gather(*(worker.submit(work(number)) for number in range(100)))
    assert results == [f"{number} in test" for number in range(100)]
    assert done == list(range(100))
    await worker.close()


async def test_an_exception_goes_to_the_future_of_its_work() -> None:
    worker = WorkerThread("test")
    bad, good = worker.submit(lambda: 1 / 0), worker.submit(lambda: 1)
    with pytest.raises(ZeroDivisionError):
        await bad
    assert await good == 1
    await worker.close()


async def test_results_reach_the_loop_in_batches() -> None:
    worker, gate = WorkerThread("test", batch=10), threading.Event()
    first = worker.submit(gate.wait)
    rest = [worker.submit(lambda: None) for _ in range(25)]
    gate.set()
    await first
    done: list[asyncio.Future[None]] = []
    while len(done) < len(rest):
        await asyncio.wait(rest[len(done) :], return_when=asyncio.FIRST_COMPLETED)
        done = [future for future in rest if future.done()]
        assert len(done) % 10 in {0, 5, 9}
    await worker.close()


async def test_cancelled_work_still_runs() -> None:
    worker, gate, done = WorkerThread("test"), threading.Event(), list[int]()
    worker.submit(gate.wait)
    worker.submit(lambda: done.append(1)).cancel()
    gate.set()
    await worker.close()
    assert done == [1]


async def test_closing_runs_what_is_waiting_and_ends_the_thread() -> None:
    worker, done = WorkerThread("ends"), list[int]()
    for number in range(3):
        worker.submit(partial(done.append, number))
    await worker.close()
    assert done == [0, 1, 2]
    for thread in threading.enumerate():
        if thread.name == "ends":
            thread.join()


def test_the_thread_ends_after_its_loop_was_closed() -> None:
    loop, gate = asyncio.new_event_loop(), threading.Event()

    async def abandon() -> WorkerThread:
        worker = WorkerThread("abandoned")
        worker.submit(gate.wait)
        return worker

    loop.run_until_complete(abandon())
    loop.close()
    (thread,) = (each for each in threading.enumerate() if each.name == "abandoned")
    gate.set()
    thread.join()
