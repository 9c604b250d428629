"""One thread wakes another, and the loop calls what threads ask for."""

import asyncio
from functools import partial
from threading import Thread

import pytest

from chatd.log.bell import LoopCaller, WakeupPipe


def test_who_waits_returns_when_it_was_woken_be_it_before() -> None:
    wakeup = WakeupPipe()
    wakeup.wake()
    wakeup.wait()
    waiting = Thread(target=wakeup.wait)
    waiting.start()
    wakeup.wake()
    waiting.join(60)
    assert not waiting.is_alive()
    wakeup.close()


def test_it_can_be_woken_as_often_as_one_likes() -> None:
    wakeup = WakeupPipe()
    for _ in range(100_000):
        wakeup.wake()
    wakeup.wait()
    wakeup.close()


async def test_calls_come_in_order_from_any_thread() -> None:
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


async def test_a_call_that_fails_takes_no_other_along(caplog: pytest.LogCaptureFixture) -> None:
    loop_caller, is_done = LoopCaller(), asyncio.Event()
    loop_caller.call(partial(list[int]().remove, 7))
    loop_caller.call(is_done.set)
    async with asyncio.timeout(60):
        await is_done.wait()
    loop_caller.close()
    assert "ValueError" in caplog.text
