"""What has arrived and was not read by the program yet: bounded, without ever blocking an answer.

Deliveries and answers share one connection, so the two limits differ. From `limit` events on the
connection is not read any more, and TCP slows the server down. But while a call waits for its
answer reading must go on, or a program that sends from inside its own loop would wait for ever:
then from twice `limit` on deliveries are left to the server's log, and the client fetches them
again when the program has caught up.
"""

import asyncio
from collections import deque
from typing import Final, Generic, TypeVar

MAX_QUEUED_EVENTS: Final = 1024
"""Events kept before reading pauses."""

E = TypeVar("E")


class EventQueue(Generic[E]):
    """A bounded queue of events that is closed, with or without an error."""

    def __init__(self, limit: int = MAX_QUEUED_EVENTS) -> None:
        self._limit = limit
        self._events: deque[E] = deque()
        self._changed = asyncio.Event()
        self._is_closed = False
        self._error: Exception | None = None

    def __len__(self) -> int:
        return len(self._events)

    @property
    def is_full(self) -> bool:
        """Whether nothing more should be asked for."""
        return len(self._events) >= self._limit

    def put(self, event: E) -> bool:
        """Keep `event`, or return False when there is no room for it."""
        if len(self._events) >= 2 * self._limit:
            return False
        self._events.append(event)
        self._changed.set()
        return True

    def close(self, error: Exception | None = None) -> None:
        """Let the reader see the end behind what has arrived: a stop, or `error`."""
        self._is_closed = True
        self._error = error
        self._changed.set()

    async def get(self) -> E | None:
        """Return the next event, None at the end; raises the failure it ended with."""
        while not self._events:
            if self._error is not None:
                raise self._error
            if self._is_closed:
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._events.popleft()
