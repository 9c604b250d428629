"""How many requests may be unanswered at once: an AIMD limit, found by trying."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from chatctl.errors import RefusedError

MAX_CONCURRENT: Final = 10_000
"""Unanswered requests that a server takes unless it is configured otherwise."""

_INCREASE_AFTER: Final = 16
"""Answers that bring back a permit; so at most one request in 16 is sent in vain for long."""

A = TypeVar("A")


class ConcurrencyLimit:
    """As many permits as requests may be unanswered at once, at most `limit`, found by trying.

    A request that the server has no room for takes its permit away and waits for another. Such a
    refusal comes behind all answers that made room before it, so there are never fewer permits than
    the server had room for. Answers bring permits back, since room is also a matter of size.
    """

    def __init__(self, limit: int = MAX_CONCURRENT) -> None:
        self._permits = asyncio.Semaphore(limit)
        self._withheld = 0
        self._waiting = 0
        self._answered = 0

    async def run(self, call: Callable[[], Awaitable[A]]) -> A:
        """Return what `call` returns, calling it again when the server had no room.

        Raises what it raises, and RefusedError where nothing else was there that took the room.
        """
        while True:
            await self._permits.acquire()
            self._waiting += 1
            has_permit = True
            try:
                answer = await call()
            except RefusedError as error:
                if error.reason != "too_many_requests" or self._waiting == 1:
                    raise
                has_permit = False
                self._withheld += 1
            else:
                self._increase()
                return answer
            finally:
                self._waiting -= 1
                if has_permit:
                    self._permits.release()

    def _increase(self) -> None:
        self._answered += 1
        if self._withheld and self._answered % _INCREASE_AFTER == 0:
            self._withheld -= 1
            self._permits.release()
