"""The requests that wait for an answer, in the order in which they were sent.

How many requests may be unanswered at once: an AIMD limit, found by trying.
What an error of the server means to a client.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Iterator
from typing import Final, TypeAlias, TypeVar

from msgspec import UNSET

from chatctl.errors import RefusedError
from common.messages.base import Error, Message

CorrelationId: TypeAlias = Hashable
"""What a request and its answer have in common, such as a `ref`."""


class PendingRequest:
    """A message that waits for its answer; all times are in ns, those of `_wall` since the epoch.

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
        """How long (s) the answer took."""
        return (self.answered_at - self.sent_at) / 1e9

    def write(self) -> bytes:
        """Return what goes over the wire, and note that it does so now."""
        self.written_wall = time.time_ns()
        self.written_at = time.perf_counter_ns()
        return self._line

    def resolve(self, answer: Message | Exception) -> None:
        """Take the answer, unless nobody waits for it any more."""
        if self.answer.done():
            return
        self.answered_at = time.perf_counter_ns()
        self.answered_wall = time.time_ns()
        if isinstance(answer, Exception):
            self.answer.set_exception(answer)
            self.answer.exception()  # it may be that nobody waits for it any more
        else:
            self.answer.set_result(answer)


class PendingRequests:
    """Finds the request that an answer belongs to; a plain table, no sockets."""

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
        """Remove a request; its answer, if it comes, is ignored."""
        self._pending.pop(correlation_id, None)

    def answer(self, correlation_id: CorrelationId, answer: Message | Exception) -> bool:
        """Give an answer to the request with this id; return whether there is one."""
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


CLOSING_REASONS: Final = frozenset(
    {"shutting_down", "server_full", "slow_consumer", "idle_timeout"}
)
"""Reasons for which a server closes a connection whose client may come back."""

TRANSIENT_REASONS: Final = CLOSING_REASONS | {"storage_failed", "rate_limited", "internal_error"}
"""Refusals of a hello that may well be accepted later."""


def correlation_id_of(error: Error) -> CorrelationId:
    """Return what `error` has in common with the request that it answers, or UNSET."""
    return error.request_id if error.ref is UNSET else error.ref
