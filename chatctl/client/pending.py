"""Pending requests: a table that matches answers to requests, and a limit on their number."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, TypeVar

from chatctl.client.errors import CorrelationId, RefusedError
from common.messages.base import Message


class PendingRequest:
    """A message that waits for its answer; times in ns, those named `_wall` since the Unix epoch.

    `sent_at` is when it was first sent, `written_at` when it was last written to a connection.
    """

    __slots__ = (
        "_line",
        "answer",
        "answered_at",
        "answered_wall",
        "sent_at",
        "written_at",
        "written_wall",
    )

    def __init__(self, line: bytes) -> None:
        self._line = line
        self.answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self.sent_at = self.written_at = self.answered_at = time.perf_counter_ns()
        self.written_wall = self.answered_wall = time.time_ns()

    @property
    def wait(self) -> float:
        """The time (s) from the first sending to the answer."""
        return (self.answered_at - self.sent_at) / 1e9

    def write(self) -> bytes:
        """Return the line to write, and note the time."""
        self.written_wall = time.time_ns()
        self.written_at = time.perf_counter_ns()
        return self._line

    def resolve(self, answer: Message | Exception) -> None:
        """Set the answer, unless the request was cancelled."""
        if self.answer.done():
            return
        self.answered_at = time.perf_counter_ns()
        self.answered_wall = time.time_ns()
        if isinstance(answer, Exception):
            self.answer.set_exception(answer)
            self.answer.exception()  # marks it as retrieved; nobody may be waiting
        else:
            self.answer.set_result(answer)


class PendingRequests:
    """The requests without an answer, in the order in which they were sent; no sockets."""

    def __init__(self) -> None:
        self._pending: dict[CorrelationId, PendingRequest] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def __iter__(self) -> Iterator[PendingRequest]:
        return iter(self._pending.values())

    def __contains__(self, correlation_id: CorrelationId) -> bool:
        return correlation_id in self._pending

    def add(self, correlation_id: CorrelationId, line: bytes) -> PendingRequest:
        """Add a request, until it is answered or removed."""
        pending = self._pending[correlation_id] = PendingRequest(line)
        return pending

    def remove(self, correlation_id: CorrelationId) -> None:
        """Remove a request; its answer will be ignored."""
        self._pending.pop(correlation_id, None)

    def answer(self, correlation_id: CorrelationId, answer: Message | Exception) -> bool:
        """Resolve the request with this id; return False if there is none."""
        pending = self._pending.pop(correlation_id, None)
        if pending is None:
            return False
        pending.resolve(answer)
        return True

    def fail_all(self, error: Exception) -> None:
        """Fail all requests."""
        for correlation_id in list(self._pending):
            self.answer(correlation_id, error)


MAX_CONCURRENT: Final = 10_000
"""Unanswered requests that a server accepts by default."""

_INCREASE_AFTER: Final = 16
"""Answers that restore one permit, so that at most one request in 16 is refused for long."""

A = TypeVar("A")


class ConcurrencyLimit:
    """A limit on concurrent requests that adapts to the server, like AIMD; at most `limit`.

    A request that the server refuses with `too_many_requests` gives up its permit and waits for
    another. The server sends such a refusal after all answers that freed a place before it, so
    there are never fewer permits than places. Answers restore permits, since the server's limit
    also depends on the size of requests.
    """

    def __init__(self, limit: int = MAX_CONCURRENT) -> None:
        self._permits = asyncio.Semaphore(limit)
        self._withheld = 0
        self._waiting = 0
        self._answered = 0

    async def run(self, call: Callable[[], Awaitable[A]]) -> A:
        """Return the result of `call`, repeating it while the server refuses it for its limit.

        Raises what `call` raises; also that refusal, if no other request is pending.
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
