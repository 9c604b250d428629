"""A bounded queue of events that the program has not read yet; it never blocks an answer.

Events and answers share one connection, so there are two limits. From `limit` events on, the client
stops reading, and TCP slows the server down. But while a call waits for its answer, the client must
read, or a program that sends from inside its own loop would wait for ever. Then, from twice `limit`
on, new messages stay in the server's log, and the client fetches them when the program has caught
up.
"""

import asyncio
from collections import deque
from typing import Final, Generic, TypeVar

MAX_QUEUED_EVENTS: Final = 1024
"""Events in the queue before reading pauses."""

E = TypeVar("E")


class EventQueue(Generic[E]):
    """A bounded queue that ends with `close`, with or without an error."""

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
        """Whether reading should pause."""
        return len(self._events) >= self._limit

    def put(self, event: E) -> bool:
        """Add `event`; return False if there is no space for it."""
        if len(self._events) >= 2 * self._limit:
            return False
        self._events.append(event)
        self._changed.set()
        return True

    def close(self, error: Exception | None = None) -> None:
        """End the queue after the events in it: with a stop, or with `error`."""
        self._is_closed = True
        self._error = error
        self._changed.set()

    async def get(self) -> E | None:
        """Return the next event, None at the end; raises the error of `close`."""
        while not self._events:
            if self._error is not None:
                raise self._error
            if self._is_closed:
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._events.popleft()
