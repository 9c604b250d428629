"""From a message to the one handler that serves it, and from a failure to its answer."""

import logging
from collections.abc import Awaitable, Iterable
from typing import Final

from msgspec import UNSET, UnsetType

from chatd.excerpt import excerpt
from chatd.log.port import StorageError
from chatd.routes import Route, Service
from chatd.session import Session
from common.catalogue import FROM_CLIENT
from common.codec import BadLine
from common.messages import ClientMessage, Error, Refusal

logger: Final = logging.getLogger(__name__)


class Router:
    """Hands each message to its service; a failing handler costs its message, nothing else."""

    def __init__(self, services: Iterable[Service]) -> None:
        self._services = tuple(services)
        rows = [row for service in self._services for row in service.routes]
        self._table: dict[type, Route] = {row.kind: row for row in rows}
        if len(rows) != len(self._table):
            raise LookupError("two services route the same kind of message")
        missing = [kind.__name__ for kind in FROM_CLIENT.kinds if kind not in self._table]
        if missing:
            raise LookupError(f"no service routes {', '.join(missing)}")
        self._table[BadLine] = Route(BadLine, _answer_bad_line, needs_welcome=False)

    def dispatch(
        self, session: Session, message: ClientMessage | BadLine
    ) -> Awaitable[None] | None:
        """Serve `message`; what is returned is to be given to `settle`."""
        try:
            row = self._table[type(message)]
            if row.needs_welcome and not session.is_welcome:
                raise Refusal(_say_hello(message))
            handler = row.handler
            return handler(session, message)
        except Exception as failure:
            _answer(session, message, failure)
            return None

    async def settle(
        self, session: Session, message: ClientMessage | BadLine, rest: Awaitable[None]
    ) -> None:
        """Wait for what `dispatch` returned; its failure is answered like any other."""
        try:
            await rest
        except Exception as failure:
            _answer(session, message, failure)

    def closed(self, session: Session) -> None:
        """Tell every service that `session` is over."""
        for service in self._services:
            try:
                service.closed(session)
            except Exception:
                logger.exception("%s: failed to let go of the session", session)


class PrintingRouter(Router):
    """A router that logs every message before it is served."""

    def dispatch(
        self, session: Session, message: ClientMessage | BadLine
    ) -> Awaitable[None] | None:
        """Log an excerpt of `message` and serve it."""
        logger.info("%s: %s", session, excerpt(message))
        return super().dispatch(session, message)


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


def _say_hello(message: ClientMessage | BadLine) -> Error:
    code = _code(message)
    detail = f'say {{"code":"hello","name":"…"}} before {code}'
    return Error(reason="not_welcome", detail=detail, ref=_ref(message))


def _ref(message: object) -> str | UnsetType:
    ref: str | UnsetType = getattr(message, "ref", UNSET)
    return ref
