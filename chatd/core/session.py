"""A session: one connection as the services see it, who it is and how to answer. No sockets."""

import asyncio
from enum import IntEnum
from typing import Final, Protocol

from chatd.core.send_queue import SendQueue
from chatd.messagelog.base import Identity
from common.messages.base import Error, Message

MAX_INFLIGHT: Final = 1_024
"""Messages of one session that may wait for the log, about; at that number it is not read."""


class Access(IntEnum):
    """What a session may do: everything that its own level and the lower ones allow."""

    ANYONE = 0
    """Nothing was said yet."""
    MEMBER = 1
    """It said hello and was accepted."""
    OPERATOR = 2
    """It may also administer the server."""


class Transport(Protocol):
    """What a session needs from its connection."""

    @property
    def local_host(self) -> str:
        """The address of this machine that the client connected to."""

    def close_transport(self) -> None:
        """Write what is queued, then close."""

    async def drain(self) -> None:
        """Wait until nearly everything queued is written."""


class _ClosedTransport:
    """The transport of a session whose connection is gone."""

    local_host = "?"

    def close_transport(self) -> None:
        """Do nothing: it is closed."""

    async def drain(self) -> None:
        """Return at once."""


_CLOSED: Final = _ClosedTransport()


class InFlight:
    """A counter of what is under way that can be waited for."""

    __slots__ = ("_decreased", "count")

    def __init__(self) -> None:
        self.count = 0
        self._decreased: asyncio.Event | None = None

    def add(self, number: int = 1) -> None:
        """Count `number` more."""
        self.count += number

    def done(self, number: int = 1) -> None:
        """Count `number` fewer."""
        self.count -= number
        if self._decreased is not None:
            self._decreased.set()

    async def wait_below(self, limit: int) -> None:
        """Wait until the count is below `limit`."""
        while self.count >= limit:
            # Most sessions never wait; the event is made for those that do.
            self._decreased = self._decreased or asyncio.Event()
            self._decreased.clear()
            await self._decreased.wait()


_NOBODY: Final = Identity(0)


class Session:
    """The state of one connection that the services share; `connected_at` is monotonic, in s."""

    __slots__ = (
        "_transport",
        "access",
        "address",
        "audience",
        "close_reason",
        "connected_at",
        "identity",
        "inflight",
        "is_anonymous",
        "is_closing",
        "is_live",
        "key",
        "name",
        "pending_replies",
        "read_ns",
        "send_queue",
        "wants_presence",
    )

    def __init__(
        self, address: str, connected_at: float, send_queue: SendQueue, transport: Transport
    ) -> None:
        self.address = address
        self.connected_at = connected_at
        self.send_queue = send_queue
        self.read_ns = 0
        """When the bytes being handled were read, ns since the Unix epoch."""
        self.access = Access.ANYONE
        """Which messages it may send."""
        self.identity = 0
        """Its identity in the log; 0 before the welcome."""
        self.audience = _NOBODY
        """Those who get the messages to this identity; one object for all of them."""
        self.name = ""
        self.key = ""
        self.is_anonymous = False
        self.wants_presence = False
        self.is_live = False
        """Whether it gets what the log commits as it is committed; not during a replay."""
        self.is_closing = False
        self.close_reason = ""
        self.inflight = InFlight()
        """Messages that wait for the log; at `MAX_INFLIGHT` no more are read."""
        self.pending_replies = InFlight()
        """Replies that are due later; after the end of input the connection stays open for them."""
        self._transport: Transport = transport

    def __str__(self) -> str:
        return f"{self.name} ({self.address})" if self.name else self.address

    @property
    def host(self) -> str:
        """The address of the client's machine."""
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def local_host(self) -> str:
        """The address of this machine that the client connected to."""
        return self._transport.local_host

    @property
    def is_registered(self) -> bool:
        """Whether it said hello and was accepted."""
        return self.identity != 0

    @property
    def is_backpressured(self) -> bool:
        """Whether so much is under way that no more messages should be served."""
        return self.send_queue.is_above_high_water or self.inflight.count >= MAX_INFLIGHT

    def send(self, message: Message) -> None:
        """Queue a message for this session alone."""
        if not self.is_closing:
            self.send_queue.send(message)

    def send_large(self, message: Message) -> None:
        """Queue a message that may be long, and count its bytes at once."""
        self.send(message)
        self.send_queue.encode_pending()

    def close(self, reason: str, error: Error | None = None) -> None:
        """End the session after what is queued, and `error`, have been written.

        `reason` completes the sentence "disconnected: …" in the server's log.
        """
        if self.is_closing:
            return
        if error is not None:
            self.send_queue.send(error)
        self.is_closing = True
        self.close_reason = reason
        self._transport.close_transport()

    async def drain(self) -> None:
        """Wait until nearly everything queued is written; used to send a long reply in steps."""
        await self._transport.drain()

    def detach(self) -> None:
        """Forget the connection, which is gone."""
        self._transport = _CLOSED
