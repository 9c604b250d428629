"""Conditions that other tasks of the test's own event loop bring about."""

import asyncio
from collections.abc import Callable
from itertools import count

from tests.support.processes import TIMEOUT


async def until(condition: Callable[[], object], pause: float = 0.0) -> None:
    """Return when `condition` holds; look again after `pause` s, or after each turn of the loop."""
    async with asyncio.timeout(TIMEOUT):
        for _ in count():
            if condition():
                return
            await asyncio.sleep(pause)
