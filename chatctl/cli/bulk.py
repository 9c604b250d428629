"""Many messages on their way at once, in order."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from chatctl.client.events import Receipt
from chatctl.errors import ClientError, PartialError

_MAX_IN_FLIGHT: Final = 256


async def send_lines(
    lines: AsyncIterator[str],
    send: Callable[[str], Awaitable[Receipt]],
    report: Callable[[Receipt], object],
) -> None:
    """Send each of `lines` that is not blank; `report` gets the receipts in the same order.

    Up to 256 wait for their receipt at once. The first line that fails ends it, once all before it
    are done: as it is where nothing was sent, else as PartialError that tells the line.
    """
    permits = asyncio.Semaphore(_MAX_IN_FLIGHT)
    sent = 0

    async def send_one(number: int, line: str, previous: list[asyncio.Task[None]]) -> None:
        nonlocal sent
        error = None
        try:
            receipt = await send(line)
        except ClientError as exc:
            error = exc
        if previous:
            await asyncio.wait(previous)
        if error is None:
            report(receipt)
            sent += 1
            permits.release()
        elif sent:
            raise PartialError(f"line {number}: {error}; {sent} sent before it") from error
        else:
            raise error

    try:
        async with asyncio.TaskGroup() as group:
            previous: list[asyncio.Task[None]] = []
            number = 0
            async for line in lines:
                number += 1
                if line.strip():
                    await permits.acquire()
                    previous = [group.create_task(send_one(number, line, previous))]
    except BaseExceptionGroup as exc:
        raise exc.exceptions[0] from None
