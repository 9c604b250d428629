"""How a service says which messages it serves."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from msgspec import Struct

from chatd.session import Session

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
