"""Coroutines that begin at once: what is done without a task, and that a task finds the rest."""

import asyncio

import pytest

from chatd.eager import start


async def note(steps: list[str], awaited: asyncio.Future[str]) -> None:
    """Note what happens."""
    steps.append("begun")
    try:
        steps.append(await awaited)
        await asyncio.sleep(0)
        steps.append("done")
    except ValueError as fault:
        steps.append(f"failed: {fault}")
    finally:
        steps.append("ended")


async def test_what_never_waits_is_done_at_once_and_leaves_nothing() -> None:
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    answer.set_result("answered")
    steps: list[str] = []

    async def nod() -> None:
        steps.append(await answer)

    assert start(nod()) is None
    assert steps == ["answered"]


async def test_what_has_to_wait_begins_at_once_and_goes_on_in_a_task() -> None:
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    steps: list[str] = []
    rest = start(note(steps, answer))
    assert rest is not None
    assert steps == ["begun"]
    task = asyncio.create_task(rest)
    await asyncio.sleep(0)
    assert steps == ["begun"]
    answer.set_result("answered")
    await task
    assert steps == ["begun", "answered", "done", "ended"]


async def test_what_came_before_the_task_had_its_turn_is_not_missed() -> None:
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    steps: list[str] = []
    rest = start(note(steps, answer))
    assert rest is not None
    answer.set_result("answered")
    await rest
    assert steps == ["begun", "answered", "done", "ended"]


async def test_a_bare_yield_to_the_loop_is_something_to_wait_for() -> None:
    rest = start(asyncio.sleep(0))
    assert rest is not None
    await asyncio.create_task(rest)


async def test_the_failure_of_what_is_waited_for_reaches_the_coroutine() -> None:
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    steps: list[str] = []
    rest = start(note(steps, answer))
    assert rest is not None
    answer.set_exception(ValueError("no"))
    await asyncio.create_task(rest)
    assert steps == ["begun", "failed: no", "ended"]


async def test_a_task_that_is_cancelled_ends_the_coroutine() -> None:
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    steps: list[str] = []
    rest = start(note(steps, answer))
    assert rest is not None
    task = asyncio.create_task(rest)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert steps == ["begun", "ended"]
    assert answer.cancelled()


async def test_a_rest_that_is_given_up_ends_the_coroutine() -> None:
    steps: list[str] = []
    rest = start(note(steps, asyncio.get_running_loop().create_future()))
    assert rest is not None
    rest.close()
    assert steps == ["begun", "ended"]


async def test_a_failure_before_anything_is_waited_for_is_raised_at_once() -> None:
    async def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        start(fail())
