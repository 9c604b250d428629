"""One thread wakes another, and the loop calls what threads ask for."""

import asyncio
from functools import partial
from threading import Thread

import pytest

from chatd.log.bell import Bell, Caller


def test_who_waits_returns_when_it_was_rung_be_it_before() -> None:
    bell = Bell()
    bell.ring()
    bell.wait()
    waiting = Thread(target=bell.wait)
    waiting.start()
    bell.ring()
    waiting.join(60)
    assert not waiting.is_alive()
    bell.close()


def test_it_can_be_rung_as_often_as_one_likes() -> None:
    bell = Bell()
    for _ in range(100_000):
        bell.ring()
    bell.wait()
    bell.close()


async def test_calls_come_in_order_from_any_thread() -> None:
    caller, called, is_done = Caller(), list[int](), asyncio.Event()

    def ask() -> None:
        for number in range(10_000):
            caller.call(partial(called.append, number))
        caller.call(is_done.set)

    asking = Thread(target=ask)
    asking.start()
    async with asyncio.timeout(60):
        await is_done.wait()
    asking.join()
    caller.close()
    assert called == [*range(10_000)]


async def test_a_call_that_fails_takes_no_other_along(caplog: pytest.LogCaptureFixture) -> None:
    caller, is_done = Caller(), asyncio.Event()
    caller.call(partial(list[int]().remove, 7))
    caller.call(is_done.set)
    async with asyncio.timeout(60):
        await is_done.wait()
    caller.close()
    assert "ValueError" in caplog.text
