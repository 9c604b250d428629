"""From a message to the one handler that serves it, and from a failure to its answer."""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby, islice
from operator import length_hint
from typing import Final, NamedTuple

from msgspec import UNSET, UnsetType

from chatd.excerpt import excerpt
from chatd.log.port import StorageError
from chatd.routes import Route, Service, Stream
from chatd.session import MAX_INFLIGHT, Session
from common.catalogue import FROM_CLIENT
from common.codec import BadLine
from common.messages import ClientMessage, Error, Refusal

logger: Final = logging.getLogger(__name__)

_AT_ONCE: Final = 64
"""Messages that a stream takes before it is looked whether too much is under way."""


class Halt(NamedTuple):
    """Where serving stops: for `rest`, what is left to do of `message`.

    Where that is None there is too much under way. `go_on` serves what is behind it.
    """

    message: ClientMessage | BadLine
    rest: Awaitable[None] | None
    go_on: Callable[[], "Halt | None"]


class _Run:
    """Messages of one kind that follow each other, and how far they are served."""

    __slots__ = ("_messages", "kind", "unserved")

    def __init__(self, kind: type, messages: Sequence[ClientMessage | BadLine]) -> None:
        self.kind = kind
        self.unserved = iter(messages)
        self._messages = messages

    @property
    def last_served(self) -> ClientMessage | BadLine:
        return self._messages[-1 - length_hint(self.unserved)]


class Router:
    """Hands messages to their services; a failing handler costs its message, nothing else."""

    def __init__(self, services: Iterable[Service]) -> None:
        self._services = tuple(services)
        rows = [row for service in self._services for row in service.routes]
        kinds = {row.kind for row in rows}
        if len(rows) != len(kinds):
            raise LookupError("two services route the same kind of message")
        missing = [kind.__name__ for kind in FROM_CLIENT.kinds if kind not in kinds]
        if missing:
            raise LookupError(f"no service routes {', '.join(missing)}")
        rows.append(Route(BadLine, _answer_bad_line, needs_welcome=False))
        self._for_members = {row.kind: row for row in rows}
        self._for_strangers = {row.kind: _closed_to_strangers(row) for row in rows}

    def serve(self, session: Session, messages: Iterable[ClientMessage | BadLine]) -> Halt | None:
        """Serve `messages` up to the first after which there is something to wait for.

        What this returns is to be settled before going on. A list is looked at as a whole, of
        anything else one message is taken at a time.
        """
        if isinstance(messages, list):
            return self._serve_runs(session, _runs(messages))
        return self._serve_each(session, iter(messages))

    async def settle(self, session: Session, halt: Halt) -> None:
        """Wait for what is left to do; its failure is answered like any other."""
        if halt.rest is not None:
            try:
                await halt.rest
            except Exception as failure:
                _answer(session, halt.message, failure)

    def closed(self, session: Session) -> None:
        """Tell every service that `session` is over."""
        for service in self._services:
            try:
                service.closed(session)
            except Exception:
                logger.exception("%s: failed to let go of the session", session)

    def _serve_each(
        self, session: Session, messages: Iterator[ClientMessage | BadLine]
    ) -> Halt | None:
        # Whoever is welcomed is waited for, and then this is called again. Here the properties of a
        # session are written out: each cost 1 % of a ping that comes alone.
        table = self._for_members if session.identity else self._for_strangers
        for message in messages:
            rest = None
            try:
                rest = table[type(message)].handler(session, message)
            except Exception as failure:
                _answer(session, message, failure)
            if session.is_closing:
                return None
            if rest is not None or session.outbox.is_busy or session.inflight.count >= MAX_INFLIGHT:
                return Halt(message, rest, partial(self._serve_each, session, messages))
        return None

    def _serve_runs(self, session: Session, runs: deque[_Run]) -> Halt | None:
        """Do what `_serve_each` does, with one call for many messages where a stream takes them.

        That took a third off what a ping costs, and a fifth off a direct message.
        """
        table = self._for_members if session.is_welcome else self._for_strangers
        while runs:
            run = runs[0]
            stream = table[run.kind].stream
            if stream is None:
                halt = self._serve_each(session, run.unserved)
            else:
                halt = _serve_stream(session, run, stream)
            if halt is not None:
                return halt._replace(go_on=partial(self._serve_runs, session, runs))
            if session.is_closing:
                return None
            runs.popleft()
        return None


class PrintingRouter(Router):
    """A router that logs every message before it is served."""

    def serve(self, session: Session, messages: Iterable[ClientMessage | BadLine]) -> Halt | None:
        """Log an excerpt of each message and serve it."""
        return super().serve(session, _printed(session, messages))


def _printed(
    session: Session, messages: Iterable[ClientMessage | BadLine]
) -> Iterator[ClientMessage | BadLine]:
    for message in messages:
        logger.info("%s: %s", session, excerpt(message))
        yield message


def _runs(messages: Sequence[ClientMessage | BadLine]) -> deque[_Run]:
    kinds = {*map(type, messages)}
    if len(kinds) == 1:  # as nearly always
        return deque([_Run(kinds.pop(), messages)])
    return deque(_Run(kind, [*run]) for kind, run in groupby(messages, type))


def _serve_stream(session: Session, run: _Run, stream: Stream) -> Halt | None:
    while length_hint(run.unserved):
        rest = None
        try:
            rest = stream(session, islice(run.unserved, _AT_ONCE))
        except Exception as failure:
            _answer(session, run.last_served, failure)
        if session.is_closing:
            return None
        if rest is not None or session.is_full:
            return Halt(run.last_served, rest, partial(_serve_stream, session, run, stream))
    return None


def _closed_to_strangers(row: Route) -> Route:
    return Route(row.kind, _refuse, needs_welcome=True) if row.needs_welcome else row


def _refuse(_session: Session, message: ClientMessage) -> None:
    code = _code(message)
    detail = f'say {{"code":"hello","name":"…"}} before {code}'
    raise Refusal(Error(reason="hello_required", detail=detail, ref=_ref(message)))


def _answer(session: Session, message: ClientMessage | BadLine, failure: Exception) -> None:
    if isinstance(failure, Refusal):
        session.send(failure.error)
        return
    code = _code(message)
    if isinstance(failure, StorageError):
        logger.error("%s: no %s: %s", session, code, failure)
        detail = f"the server cannot read or write its log now: {failure}; try again later"
        session.send(Error(reason="storage_failed", detail=detail, ref=_ref(message)))
        return
    logger.error("%s: the handler of %s failed", session, code, exc_info=failure)
    detail = f"the server failed to serve {code}; its log says why, the connection goes on"
    session.send(Error(reason="internal_error", detail=detail, ref=_ref(message)))


def _code(message: ClientMessage | BadLine) -> str:
    tag = message.__struct_config__.tag
    return type(message).__name__ if tag is None else str(tag)


def _answer_bad_line(session: Session, line: BadLine) -> None:
    session.send(line.error)


def _ref(message: object) -> str | UnsetType:
    ref: str | UnsetType = getattr(message, "ref", UNSET)
    return ref
