"""Sessions and outboxes that belong to no connection and no stage."""

import json
from typing import Any

from chatd.dialects import Dialect
from chatd.outbox import Outbox
from chatd.session import Session


class Nowhere:
    """Carries a session that has no connection."""

    local_host = "?"

    def hang_up(self) -> None:
        """Do nothing: there is nothing to close."""

    async def drained(self) -> None:
        """Return at once: nothing is ever written."""


def drop(_encoded: bytes) -> None:
    """Be written to, for nobody."""


def lone_outbox() -> Outbox:
    """Return an outbox that nobody flushes."""
    return Outbox(lambda _outbox: None, lambda: None, drop)


def lone_session(identity: int, dialect: Dialect = Dialect.BARE) -> Session:
    """Return a session that no service knows, named after its identity."""
    session = Session("192.0.2.1:40000", 0.0, lone_outbox(), Nowhere())
    session.outbox.speak(dialect)
    session.identity = identity
    session.name = session.key = f"user {identity}"
    return session


def heard_by(session: Session) -> list[dict[str, Any]]:
    """Return the messages that are queued for `session`."""
    taken = iter(lambda: session.outbox.take(1_000), b"")
    return [json.loads(line) for line in b"".join(taken).splitlines()]
