"""Requests: parsed at once, answered after a random delay, each on its own."""

import logging
from collections.abc import Sequence
from random import Random
from typing import Final

from msgspec import Struct, field

from chatd.outbox import Part
from chatd.routes import Route, route
from chatd.session import Session
from chatd.wheel import Wheel
from common.codec import encode
from common.entities import parse_entities
from common.messages.base import Error, Refusal
from common.messages.request import (
    BareRequest,
    BareResponse,
    Request,
    RequestId,
    Response,
)

logger: Final = logging.getLogger(__name__)

_MIB: Final = 2**20


class Terms(Struct, frozen=True):
    """What is granted: `delay` is the range (s) drawn from; the rest is per connection.

    `max_pending` counts unanswered requests, `max_bytes` the bytes of their answers.
    """

    delay: tuple[float, float]
    max_pending: int
    max_bytes: int


class _Queue(Struct, gc=False):
    """What one session waits for; `size` is in bytes."""

    session: Session
    pending: dict[RequestId, "_Answer"] = field(default_factory=dict)
    size: int = 0


class _Answer(Struct, frozen=True, gc=False):
    """An answer that waits for its time; it is kept encoded, which is smaller than parsed."""

    queue: _Queue
    request_id: RequestId
    encoded: bytes
    tick: int

    def fire(self) -> None:
        queue = self.queue
        del queue.pending[self.request_id]
        queue.size -= len(self.encoded)
        queue.session.owed.done()
        queue.session.outbox.put(Part(self.encoded))


class Requests:
    """Answers each request with its entities, after a delay drawn uniformly by `random`."""

    def __init__(self, wheel: Wheel, random: Random, terms: Terms) -> None:
        self._wheel = wheel
        self._random = random
        self._terms = terms
        self._queues: dict[Session, _Queue] = {}

    @property
    def routes(self) -> Sequence[Route]:
        """The messages it serves."""
        return (route(Request, self.request), route(BareRequest, self.bare_request))

    def request(self, session: Session, message: Request) -> None:
        """Take a request that has a code; its answer has one too."""
        self._take(session, message, Response)

    def bare_request(self, session: Session, message: BareRequest) -> None:
        """Take a request without a code; its answer has none."""
        self._take(session, message, BareResponse)

    def closed(self, session: Session) -> None:
        """Forget what the session still waits for."""
        queue = self._queues.pop(session, None)
        if queue is not None:
            self._wheel.remove((answer.tick, answer) for answer in queue.pending.values())
            session.owed.done(len(queue.pending))
            queue.pending.clear()

    def _take(
        self,
        session: Session,
        message: Request | BareRequest,
        kind: type[Response] | type[BareResponse],
    ) -> None:
        request_id = message.request_id
        queue = self._queues.get(session)
        if queue is None:
            queue = self._queues[session] = _Queue(session)
        self._check(queue, request_id)
        encoded = encode(kind(request_id, parse_entities(message.data)))
        if queue.size + len(encoded) > self._terms.max_bytes:
            raise _too_many(f"answers of {queue.size / _MIB:.1f} MiB are pending", request_id)
        delay = self._random.uniform(*self._terms.delay)
        logger.info("Timeout %.1f seconds for this one.", delay)
        if delay == 0:
            session.outbox.put(Part(encoded))
            return
        answer = _Answer(queue, request_id, encoded, self._wheel.tick_in(delay))
        queue.pending[request_id] = answer
        queue.size += len(encoded)
        session.owed.add()
        self._wheel.add(answer.tick, answer)

    def _check(self, queue: _Queue, request_id: RequestId) -> None:
        if request_id in queue.pending:
            detail = f"the request {request_id!r} is still pending here; choose another id"
            raise Refusal(Error("duplicate_request", detail, request_id=request_id))
        if len(queue.pending) >= self._terms.max_pending:
            raise _too_many(f"{len(queue.pending)} requests are pending", request_id)


def _too_many(what: str, request_id: RequestId) -> Refusal:
    detail = f"{what} on this connection; wait for answers before you send more"
    return Refusal(Error("too_many_requests", detail, request_id=request_id))
