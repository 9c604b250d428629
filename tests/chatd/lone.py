"""Sessions and send queues that belong to no connection and no harness."""

import json
from typing import Any

from chatd.dialects import Format
from chatd.outbox import SendQueue
from chatd.session import Session


class DetachedTransport:
    """The transport of a session that has no connection."""

    local_host = "?"

    def close_transport(self) -> None:
        """Do nothing: there is nothing to close."""

    async def drain(self) -> None:
        """Return at once: nothing is ever written."""


def drop(_encoded: bytes) -> None:
    """Be written to, for nobody."""


def detached_send_queue() -> SendQueue:
    """Return a send queue that nobody flushes."""
    return SendQueue(lambda _send_queue: None, lambda: None, drop)


def detached_session(identity: int, wire_format: Format = Format.LEGACY) -> Session:
    """Return a session that no service knows, named after its identity."""
    session = Session("192.0.2.1:40000", 0.0, detached_send_queue(), DetachedTransport())
    session.send_queue.set_format(wire_format)
    session.identity = identity
    session.name = session.key = f"user {identity}"
    return session


def received_by(session: Session) -> list[dict[str, Any]]:
    """Return the messages that are queued for `session`."""
    taken = iter(lambda: session.send_queue.take(1_000), b"")
    return [json.loads(line) for line in b"".join(taken).splitlines()]
