"""How a service says which messages it serves."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

from msgspec import Struct

from chatd.session import Session

M = TypeVar("M", bound=Struct)
Handler = Callable[[Session, Any], Awaitable[None] | None]


class Route(Struct, frozen=True):
    """Which handler serves a kind of message, and whether hello must come first."""

    kind: type[Struct]
    handler: Handler
    needs_welcome: bool


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


class Service(Protocol):
    """One mode: its table of routes, and what it does when a session ends."""

    @property
    def routes(self) -> Sequence[Route]:
        """The messages it serves."""

    def closed(self, session: Session) -> None:
        """Forget `session`; called once for each, welcome or not."""
