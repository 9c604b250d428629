"""Bounded concurrency: run many calls, at most N at once.

`for_each` is the general tool. `send_lines` adds what a sequence of messages needs: receipts in
order, and an end at the first line that fails.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, NamedTuple, TypeVar

from chatctl.cli.runner import task_group
from chatctl.client import ClientError, Receipt
from chatctl.errors import PartialError

MAX_IN_FLIGHT: Final = 256
"""Messages sent before the first of them is acknowledged."""

T = TypeVar("T")


async def for_each(
    items: AsyncIterator[T], call: Callable[[T], Awaitable[object]], limit: int
) -> None:
    """Call `call` with each of `items`, up to `limit` at once; return when all calls have returned.

    The calls start in the order of the items. The first error cancels the others and is raised.
    """
    permits = asyncio.Semaphore(limit)

    async def run(item: T) -> None:
        try:
            await call(item)
        finally:
            permits.release()

    async with task_group() as group:
        async for item in items:
            await permits.acquire()
            group.create_task(run(item))


async def number_lines(lines: AsyncIterator[str]) -> AsyncIterator[tuple[int, str]]:
    """Yield each line that is not blank with its number, from 1; blank lines count."""
    number = 0
    async for line in lines:
        number += 1
        if line.strip():
            yield number, line


class _Job(NamedTuple):
    """A line, and the two ends of the chain that keeps receipts in order."""

    number: int
    line: str
    is_first: asyncio.Event
    is_done: asyncio.Event


async def send_lines(
    lines: AsyncIterator[str],
    send: Callable[[str], Awaitable[Receipt]],
    report: Callable[[Receipt], object],
) -> None:
    """Send each of `lines` that is not blank; `report` gets the receipts in the same order.

    Up to 256 wait for their receipt at once. The first line that fails ends it, once all before it
    are done: with its own error where nothing was sent, else with a PartialError that names the
    line.
    """
    sent = 0

    async def send_one(job: _Job) -> None:
        nonlocal sent
        error = None
        try:
            receipt = await send(job.line)
        except ClientError as exc:
            error = exc
        await job.is_first.wait()
        if error is None:
            report(receipt)
            sent += 1
            job.is_done.set()
        elif sent:
            raise PartialError(f"line {job.number}: {error}; {sent} sent before it") from error
        else:
            raise error

    await for_each(_chain(lines), send_one, MAX_IN_FLIGHT)


async def _chain(lines: AsyncIterator[str]) -> AsyncIterator[_Job]:
    is_first = asyncio.Event()
    is_first.set()
    async for number, line in number_lines(lines):
        is_done = asyncio.Event()
        yield _Job(number, line, is_first, is_done)
        is_first = is_done
