"""Routing: from a message to the one handler that serves it, and from an exception to its answer.

A service names the messages that it serves in its routes. A route says who may send the message,
what it costs, and which function handles it; the router checks that in one place.
"""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby, islice
from operator import length_hint
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from msgspec import UNSET, Struct, UnsetType, structs

from chatd.core.session import MAX_INFLIGHT, Access, Session
from chatd.messagelog.base import StorageError
from common.messages import ClientMessage, Error, RejectedError
from common.messages.chat import Hello, History
from common.protocol.codec import InvalidLine, encode
from common.protocol.registry import FROM_CLIENT
from common.protocol.text_format import escape_control

logger: Final = logging.getLogger(__name__)

MAX_CHARACTERS: Final = 200
"""Characters shown of a message in the server's log."""

_BATCH_SIZE: Final = 64
"""Messages that a batch handler takes before the router looks whether too much is under way."""

M = TypeVar("M", bound=Struct)
Handler = Callable[[Session, Any], Awaitable[None] | None]
BatchHandler = Callable[[Session, Iterator[Any]], Awaitable[None] | None]


class Route(Struct, frozen=True):
    """A row of a service's table: the handler of one kind of message, and what it requires.

    `requires` is the access that a session needs. `cost` is what one message counts for in a rate
    limit. A `batch_handler` serves messages that come many at once.
    """

    kind: type[Struct]
    handler: Handler
    requires: Access = Access.ANYONE
    cost: int = 1
    batch_handler: BatchHandler | None = None


def route(
    kind: type[M],
    handler: Callable[[Session, M], Awaitable[None] | None],
    *,
    requires: Access = Access.ANYONE,
    cost: int = 1,
) -> Route:
    """Return the route of a kind of message that is served one at a time.

    A handler answers at once and returns None, or returns an awaitable, which is awaited before the
    session's next message is served. It may raise RejectedError, which becomes the answer.
    """
    return Route(kind, handler, requires, cost)


def batch_route(
    kind: type[M],
    handler: Callable[[Session, Iterator[M]], Awaitable[None] | None],
    *,
    single: Callable[[Session, M], Awaitable[None] | None] | None = None,
    requires: Access = Access.ANYONE,
    cost: int = 1,
) -> Route:
    """Return the route of a kind of message that comes many at once.

    The handler takes messages from the iterator, which holds at least one, up to the first that it
    must await or fails at; the router calls it again for the rest. `single` serves a message that
    comes alone, where that takes less.
    """

    def serve_one(session: Session, message: M) -> Awaitable[None] | None:
        return handler(session, iter((message,)))

    return Route(kind, single or serve_one, requires, cost, handler)


class Service(Protocol):
    """A part of the protocol: its routes, and what it does when a session ends."""

    @property
    def routes(self) -> Sequence[Route]:
        """The messages it serves."""

    def closed(self, session: Session) -> None:
        """Forget `session`; called once for each, registered or not."""


class _Stop(NamedTuple):
    """Where serving stopped: at `message`, of which `pending` must be awaited.

    Without `pending` too much is under way for the session.
    """

    message: ClientMessage | InvalidLine
    pending: Awaitable[None] | None


class Router:
    """Hands each message to its service; a handler that fails costs its message, nothing else."""

    def __init__(self, services: Iterable[Service]) -> None:
        self._services = tuple(services)
        routes = [row for service in self._services for row in service.routes]
        by_kind = {row.kind: row for row in routes}
        if len(routes) != len(by_kind):
            raise LookupError("two services route the same kind of message")
        missing = [kind.__name__ for kind in FROM_CLIENT.kinds if kind not in by_kind]
        if missing:
            raise LookupError(f"no service routes {', '.join(missing)}")
        by_kind[InvalidLine] = Route(InvalidLine, _send_line_error)
        self._routes = tuple(_permitted(by_kind, access) for access in Access)
        """The route of each kind of message, for a session of each level of access."""

    def serve(
        self, session: Session, messages: Iterable[ClientMessage | InvalidLine]
    ) -> Coroutine[Any, Any, None] | None:
        """Serve `messages`; return None, or a coroutine that must be awaited before any other.

        The router stops where something must be awaited, or where the client should first take its
        answers. The coroutine waits for that and serves what follows. A list is served in batches
        of one kind, of anything else one message is taken at a time.
        """
        if isinstance(messages, list):
            batches = _batches(messages)
            stop = self._serve_batches(session, batches)
            if stop is None:
                return None
            return _serve_rest(session, stop, partial(self._serve_batches, session, batches))
        each = iter(messages)
        stop = self._serve_each(session, each)
        if stop is None:
            return None
        return _serve_rest(session, stop, partial(self._serve_each, session, each))

    def closed(self, session: Session) -> None:
        """Tell every service that `session` is over."""
        for service in self._services:
            try:
                service.closed(session)
            except Exception:
                logger.exception("%s: a service failed to forget the session", session)

    def _serve_each(
        self, session: Session, messages: Iterator[ClientMessage | InvalidLine]
    ) -> _Stop | None:
        # The properties of a session are written out: each cost 1 % of a ping that comes alone.
        # Whatever changes the access of a session is awaited, and the rest is served by a new call.
        routes = self._routes[session.access]
        for message in messages:
            pending = None
            try:
                pending = routes[type(message)].handler(session, message)
            except Exception as error:
                _send_error(session, message, error)
            if session.is_closing:
                return None
            if (
                pending is not None
                or session.send_queue.is_above_high_water
                or session.inflight.count >= MAX_INFLIGHT
            ):
                return _Stop(message, pending)
        return None

    def _serve_batches(self, session: Session, batches: deque["_MessageBatch"]) -> _Stop | None:
        """Do what `_serve_each` does, with one call for many messages where a route takes them.

        That took a third off what a ping costs, and a fifth off a direct message.
        """
        while batches:
            batch = batches[0]
            batch_handler = self._routes[session.access][batch.kind].batch_handler
            if batch_handler is None:
                stop = self._serve_each(session, batch.unserved)
            else:
                stop = _serve_batch(session, batch, batch_handler)
            if stop is not None or session.is_closing:
                return stop
            batches.popleft()
        return None


class LoggingRouter(Router):
    """A router that logs every message before it is served."""

    def serve(
        self, session: Session, messages: Iterable[ClientMessage | InvalidLine]
    ) -> Coroutine[Any, Any, None] | None:
        """Log a summary of each message and serve it."""
        return super().serve(session, _logged(session, messages))


def summarize(message: ClientMessage | InvalidLine) -> str:
    """Return `message` as one line of JSON for people, escaped and cut; secrets are left out.

    Of what is no message it says what is wrong.
    """
    if isinstance(message, InvalidLine):
        return f"not a message: {escape_control(message.error.detail)}"
    if isinstance(message, Hello | History) and message.token is not UNSET:
        message = structs.replace(message, token="(not shown)")  # noqa: S106 - it hides one
    text = encode(message)[:-1].decode()
    omitted = len(text) - MAX_CHARACTERS
    return escape_control(text[:MAX_CHARACTERS]) + (
        f"… and {omitted} characters more" if omitted > 0 else ""
    )


def _logged(
    session: Session, messages: Iterable[ClientMessage | InvalidLine]
) -> Iterator[ClientMessage | InvalidLine]:
    for message in messages:
        logger.info("%s: %s", session, summarize(message))
        yield message


async def _serve_rest(
    session: Session, stop: _Stop | None, serve_rest: Callable[[], _Stop | None]
) -> None:
    """Wait for what `stop` says, let the client take its answers, and serve what follows."""
    while stop is not None:
        if stop.pending is not None:
            try:
                await stop.pending
            except Exception as error:
                _send_error(session, stop.message, error)
        if session.is_backpressured:
            await session.drain()
            await session.inflight.wait_below(MAX_INFLIGHT)
        if session.is_closing:
            return
        stop = serve_rest()


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


def _batches(messages: Sequence[ClientMessage | InvalidLine]) -> deque[_MessageBatch]:
    kinds = {*map(type, messages)}
    if len(kinds) == 1:  # as nearly always
        return deque([_MessageBatch(kinds.pop(), messages)])
    return deque(_MessageBatch(kind, [*batch]) for kind, batch in groupby(messages, type))


def _serve_batch(
    session: Session, batch: _MessageBatch, batch_handler: BatchHandler
) -> _Stop | None:
    while length_hint(batch.unserved):
        pending = None
        try:
            pending = batch_handler(session, islice(batch.unserved, _BATCH_SIZE))
        except Exception as error:
            _send_error(session, batch.last_served, error)
        if session.is_closing:
            return None
        if pending is not None or session.is_backpressured:
            return _Stop(batch.last_served, pending)
    return None


def _send_error(session: Session, message: ClientMessage | InvalidLine, error: Exception) -> None:
    if isinstance(error, RejectedError):
        session.send(error.error)
        return
    code = _code(message)
    if isinstance(error, StorageError):
        logger.error("%s: cannot serve %s: %s", session, code, error)
        detail = f"the server cannot read or write its log now: {error}; try again later"
        session.send(Error(reason="storage_failed", detail=detail, ref=_ref(message)))
        return
    logger.error("%s: the handler of %s failed", session, code, exc_info=error)
    detail = f"the server failed to serve {code}; its log says why, the connection goes on"
    session.send(Error(reason="internal_error", detail=detail, ref=_ref(message)))


def _send_line_error(session: Session, line: InvalidLine) -> None:
    session.send(line.error)


def _refuse(session: Session, message: ClientMessage) -> None:
    code, ref = _code(message), _ref(message)
    if session.is_registered:
        raise RejectedError(Error("unauthorized", f"only an operator may send {code}", ref=ref))
    detail = f'say {{"code":"hello","name":"…"}} before {code}'
    raise RejectedError(Error("hello_required", detail, ref=ref))


def _permitted(by_kind: Mapping[type, Route], access: Access) -> Mapping[type, Route]:
    """Return the routes for sessions with `access`: one that requires more refuses the message."""
    return {
        kind: row if row.requires <= access else Route(kind, _refuse)
        for kind, row in by_kind.items()
    }


def _code(message: ClientMessage | InvalidLine) -> str:
    tag = message.__struct_config__.tag
    return type(message).__name__ if tag is None else str(tag)


def _ref(message: object) -> str | UnsetType:
    ref: str | UnsetType = getattr(message, "ref", UNSET)
    return ref
