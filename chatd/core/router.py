"""From a message to the one handler that serves it, and from a failure to its answer.

How a service says which messages it serves.
A message as one line for people: nothing in it moves the cursor, gives a secret or is long.
"""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby, islice
from operator import length_hint
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from msgspec import UNSET, Struct, UnsetType, structs

from chatd.core.session import MAX_INFLIGHT, Session
from chatd.messagelog.base import StorageError
from common.messages import ClientMessage, Error, RejectedError
from common.messages.chat import Hello, History
from common.protocol.codec import InvalidLine, encode
from common.protocol.registry import FROM_CLIENT
from common.protocol.text_format import escape_control

M = TypeVar("M", bound=Struct)
Handler = Callable[[Session, Any], Awaitable[None] | None]
BatchHandler = Callable[[Session, Iterator[Any]], Awaitable[None] | None]


class Route(Struct, frozen=True):
    """Which handler serves a kind of message, and whether hello must come first.

    Where there is a `batch_handler`, it serves what comes many at once.
    """

    kind: type[Struct]
    handler: Handler
    requires_hello: bool
    batch_handler: BatchHandler | None = None


def route(
    kind: type[M],
    handler: Callable[[Session, M], Awaitable[None] | None],
    *,
    requires_hello: bool = False,
) -> Route:
    """Return a row of a service's table.

    A handler answers at once and returns None, or returns an awaitable that the connection waits
    for before it looks at the next message. It may raise RejectedError, which becomes the answer.
    """
    return Route(kind, handler, requires_hello)


def batch_route(
    kind: type[M],
    handler: Callable[[Session, Iterator[M]], Awaitable[None] | None],
    *,
    single: Callable[[Session, M], Awaitable[None] | None] | None = None,
    requires_hello: bool = False,
) -> Route:
    """Return a row for messages that come many at once.

    The handler takes them from the iterator, in which there is at least one, up to the first that
    it has to wait for or fails at; it is called again for the rest. `single` is for a message that
    comes alone, where that can be served with less.
    """

    def serve_one(session: Session, message: M) -> Awaitable[None] | None:
        return handler(session, iter((message,)))

    return Route(kind, single or serve_one, requires_hello, handler)


class Service(Protocol):
    """One mode: its table of routes, and what it does when a session ends."""

    @property
    def routes(self) -> Sequence[Route]:
        """The messages it serves."""

    def closed(self, session: Session) -> None:
        """Forget `session`; called once for each, registered or not."""


MAX_CHARACTERS: Final = 200
"""Characters shown of a message."""


def summarize(message: ClientMessage | InvalidLine) -> str:
    """Return `message` as JSON, escaped and cut; of what is no message, what is wrong with it."""
    if isinstance(message, InvalidLine):
        return f"not a message: {escape_control(message.error.detail)}"
    if isinstance(message, Hello | History) and message.token is not UNSET:
        message = structs.replace(message, token="(not shown)")  # noqa: S106 - it hides one
    text = encode(message)[:-1].decode()
    omitted = len(text) - MAX_CHARACTERS
    return escape_control(text[:MAX_CHARACTERS]) + (
        f"… and {omitted} characters more" if omitted > 0 else ""
    )


logger: Final = logging.getLogger(__name__)

_BATCH_SIZE: Final = 64
"""Messages that a stream takes before it is looked whether too much is under way."""


class Suspended(NamedTuple):
    """Where serving stops: for `pending`, what is left to do of `message`.

    Where that is None there is too much under way. `resume` serves what is behind it.
    """

    message: ClientMessage | InvalidLine
    pending: Awaitable[None] | None
    resume: Callable[[], "Suspended | None"]


class _MessageBatch:
    """Messages of one kind that follow each other, and how far they are served."""

    __slots__ = ("_messages", "kind", "unserved")

    def __init__(self, kind: type, messages: Sequence[ClientMessage | InvalidLine]) -> None:
        self.kind = kind
        self.unserved = iter(messages)
        self._messages = messages

    @property
    def last_served(self) -> ClientMessage | InvalidLine:
        return self._messages[-1 - length_hint(self.unserved)]


class Router:
    """Hands messages to their services; a failing handler costs its message, nothing else."""

    def __init__(self, services: Iterable[Service]) -> None:
        self._services = tuple(services)
        entries = [entry for service in self._services for entry in service.routes]
        kinds = {entry.kind for entry in entries}
        if len(entries) != len(kinds):
            raise LookupError("two services route the same kind of message")
        missing = [kind.__name__ for kind in FROM_CLIENT.kinds if kind not in kinds]
        if missing:
            raise LookupError(f"no service routes {', '.join(missing)}")
        entries.append(Route(InvalidLine, _send_line_error, requires_hello=False))
        self._for_registered = {entry.kind: entry for entry in entries}
        self._for_unregistered = {entry.kind: _closed_to_unregistered(entry) for entry in entries}

    def serve(
        self, session: Session, messages: Iterable[ClientMessage | InvalidLine]
    ) -> Suspended | None:
        """Serve `messages` up to the first after which there is something to wait for.

        What this returns is to be settled before going on. A list is looked at as a whole, of
        anything else one message is taken at a time.
        """
        if isinstance(messages, list):
            return self._serve_batches(session, _batches(messages))
        return self._serve_each(session, iter(messages))

    async def complete(self, session: Session, suspended: Suspended) -> None:
        """Wait for what is left to do; its failure is answered like any other."""
        if suspended.pending is not None:
            try:
                await suspended.pending
            except Exception as error:
                _send_error(session, suspended.message, error)

    def closed(self, session: Session) -> None:
        """Tell every service that `session` is over."""
        for service in self._services:
            try:
                service.closed(session)
            except Exception:
                logger.exception("%s: failed to let go of the session", session)

    def _serve_each(
        self, session: Session, messages: Iterator[ClientMessage | InvalidLine]
    ) -> Suspended | None:
        # Whoever is welcomed is waited for, and then this is called again. Here the properties of a
        # session are written out: each cost 1 % of a ping that comes alone.
        table = self._for_registered if session.identity else self._for_unregistered
        for message in messages:
            pending = None
            try:
                pending = table[type(message)].handler(session, message)
            except Exception as error:
                _send_error(session, message, error)
            if session.is_closing:
                return None
            if (
                pending is not None
                or session.send_queue.is_above_high_water
                or session.inflight.count >= MAX_INFLIGHT
            ):
                return Suspended(message, pending, partial(self._serve_each, session, messages))
        return None

    def _serve_batches(self, session: Session, batches: deque[_MessageBatch]) -> Suspended | None:
        """Do what `_serve_each` does, with one call for many messages where a stream takes them.

        That took a third off what a ping costs, and a fifth off a direct message.
        """
        table = self._for_registered if session.is_registered else self._for_unregistered
        while batches:
            batch = batches[0]
            batch_handler = table[batch.kind].batch_handler
            if batch_handler is None:
                suspended = self._serve_each(session, batch.unserved)
            else:
                suspended = _serve_batch(session, batch, batch_handler)
            if suspended is not None:
                return suspended._replace(resume=partial(self._serve_batches, session, batches))
            if session.is_closing:
                return None
            batches.popleft()
        return None


class LoggingRouter(Router):
    """A router that logs every message before it is served."""

    def serve(
        self, session: Session, messages: Iterable[ClientMessage | InvalidLine]
    ) -> Suspended | None:
        """Log a summary of each message and serve it."""
        return super().serve(session, _logged(session, messages))


def _logged(
    session: Session, messages: Iterable[ClientMessage | InvalidLine]
) -> Iterator[ClientMessage | InvalidLine]:
    for message in messages:
        logger.info("%s: %s", session, summarize(message))
        yield message


def _batches(messages: Sequence[ClientMessage | InvalidLine]) -> deque[_MessageBatch]:
    kinds = {*map(type, messages)}
    if len(kinds) == 1:  # as nearly always
        return deque([_MessageBatch(kinds.pop(), messages)])
    return deque(_MessageBatch(kind, [*batch]) for kind, batch in groupby(messages, type))


def _serve_batch(
    session: Session, batch: _MessageBatch, batch_handler: BatchHandler
) -> Suspended | None:
    while length_hint(batch.unserved):
        pending = None
        try:
            pending = batch_handler(session, islice(batch.unserved, _BATCH_SIZE))
        except Exception as error:
            _send_error(session, batch.last_served, error)
        if session.is_closing:
            return None
        if pending is not None or session.is_backpressured:
            return Suspended(
                batch.last_served, pending, partial(_serve_batch, session, batch, batch_handler)
            )
    return None


def _closed_to_unregistered(entry: Route) -> Route:
    return Route(entry.kind, _require_hello, requires_hello=True) if entry.requires_hello else entry


def _require_hello(_session: Session, message: ClientMessage) -> None:
    code = _code(message)
    detail = f'say {{"code":"hello","name":"…"}} before {code}'
    raise RejectedError(Error(reason="hello_required", detail=detail, ref=_ref(message)))


def _send_error(session: Session, message: ClientMessage | InvalidLine, error: Exception) -> None:
    if isinstance(error, RejectedError):
        session.send(error.error)
        return
    code = _code(message)
    if isinstance(error, StorageError):
        logger.error("%s: no %s: %s", session, code, error)
        detail = f"the server cannot read or write its log now: {error}; try again later"
        session.send(Error(reason="storage_failed", detail=detail, ref=_ref(message)))
        return
    logger.error("%s: the handler of %s failed", session, code, exc_info=error)
    detail = f"the server failed to serve {code}; its log says why, the connection goes on"
    session.send(Error(reason="internal_error", detail=detail, ref=_ref(message)))


def _code(message: ClientMessage | InvalidLine) -> str:
    tag = message.__struct_config__.tag
    return type(message).__name__ if tag is None else str(tag)


def _send_line_error(session: Session, line: InvalidLine) -> None:
    session.send(line.error)


def _ref(message: object) -> str | UnsetType:
    ref: str | UnsetType = getattr(message, "ref", UNSET)
    return ref
