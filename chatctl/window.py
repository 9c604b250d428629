"""How much may be asked of a server that says only what was too much."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from chatctl.errors import RefusedError

LIMIT: Final = 10_000
"""Unanswered requests that a server takes unless it was told otherwise."""

_GROWTH: Final = 16
"""Answers that bring back a place; so at most one request in 16 is sent in vain for long."""

A = TypeVar("A")


class Window:
    """As many places as requests may be unanswered at once, at most `limit`, found by trying.

    A request that the server has no room for takes its place with it and waits for another. Such a
    refusal comes behind all answers that made room before it, so there are never fewer places than
    the server had room for. Answers bring places back, since room is also a matter of size.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._places = asyncio.Semaphore(limit)
        self._missing = 0
        self._waiting = 0
        self._answered = 0

    async def send(self, ask: Callable[[], Awaitable[A]]) -> A:
        """Return what `ask` returns, calling it again when the server had no room.

        Raises what it raises, and RefusedError where nothing else was there that took the room.
        """
        while True:
            await self._places.acquire()
            self._waiting += 1
            has_place = True
            try:
                answer = await ask()
            except RefusedError as error:
                if error.reason != "too_many_requests" or self._waiting == 1:
                    raise
                has_place = False
                self._missing += 1
            else:
                self._grow()
                return answer
            finally:
                self._waiting -= 1
                if has_place:
                    self._places.release()

    def _grow(self) -> None:
        self._answered += 1
        if self._missing and self._answered % _GROWTH == 0:
            self._missing -= 1
            self._places.release()
