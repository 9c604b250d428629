"""How a service says which messages it serves."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from msgspec import Struct

from chatd.session import Session

M = TypeVar("M", bound=Struct)
Handler = Callable[[Session, Any], Awaitable[None] | None]
Stream = Callable[[Session, Iterator[Any]], Awaitable[None] | None]


class Route(Struct, frozen=True):
    """Which handler serves a kind of message, and whether hello must come first.

    Where there is a `stream`, it serves what comes many at once.
    """

    kind: type[Struct]
    handler: Handler
    needs_welcome: bool
    stream: Stream | None = None


def route(
    kind: type[M],
    handler: Callable[[Session, M], Awaitable[None] | None],
    *,
    needs_welcome: bool = False,
) -> Route:
    """Return a row of a service's table.

    A handler answers at once and returns None, or returns an awaitable that the connection waits
    for before it looks at the next message. It may raise Refusal, which becomes the answer.
    """
    return Route(kind, handler, needs_welcome)


def stream(
    kind: type[M],
    handler: Callable[[Session, Iterator[M]], Awaitable[None] | None],
    *,
    one: Callable[[Session, M], Awaitable[None] | None] | None = None,
    needs_welcome: bool = False,
) -> Route:
    """Return a row for messages that come many at once.

    The handler takes them from the iterator, in which there is at least one, up to the first that
    it has to wait for or fails at; it is called again for the rest. `one` is for a message that
    comes alone, where that can be served with less.
    """

    def serve_one(session: Session, message: M) -> Awaitable[None] | None:
        return handler(session, iter((message,)))

    return Route(kind, one or serve_one, needs_welcome, handler)


class Service(Protocol):
    """One mode: its table of routes, and what it does when a session ends."""

    @property
    def routes(self) -> Sequence[Route]:
        """The messages it serves."""

    def closed(self, session: Session) -> None:
        """Forget `session`; called once for each, welcome or not."""
