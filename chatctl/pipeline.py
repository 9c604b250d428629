"""Many messages on their way at once, in order."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from chatctl.errors import ClientError, PartialError
from chatctl.events import Receipt

_AHEAD: Final = 256


async def send_lines(
    lines: AsyncIterator[str],
    send: Callable[[str], Awaitable[Receipt]],
    report: Callable[[Receipt], object],
) -> None:
    """Send each of `lines` that is not blank; `report` gets the receipts in the same order.

    Up to 256 wait for their receipt at once. The first failure ends it: as it is where nothing was
    sent before, else as PartialError that tells the line.
    """
    places = asyncio.Semaphore(_AHEAD)
    sent = 0

    async def send_one(number: int, line: str) -> None:
        nonlocal sent
        try:
            report(await send(line))
            sent += 1
        except ClientError as failure:
            if not sent:
                raise
            raise PartialError(
                f"line {number}: {failure}; {sent} messages before it were sent"
            ) from failure
        finally:
            places.release()

    try:
        async with asyncio.TaskGroup() as group:
            number = 0
            async for line in lines:
                number += 1
                if line.strip():
                    await places.acquire()
                    group.create_task(send_one(number, line))
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
