"""The requests that wait for an answer, in the order in which they were sent."""

import asyncio
import time
from collections.abc import Hashable, Iterator
from typing import TypeAlias

from common.messages.base import Message

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
