"""One connection as the services see it: who it is and how to answer. No sockets."""

from typing import Final, Protocol

from chatd.outbox import Outbox
from chatd.tally import Tally
from common.messages.base import Error, Message

MAX_INFLIGHT: Final = 1_024
"""Messages of one session that may wait for the log, about; at that number it is not read from."""


class Carrier(Protocol):
    """What a session asks of the connection that carries it."""

    @property
    def local_host(self) -> str:
        """The address of this machine that the client connected to."""

    def hang_up(self) -> None:
        """Write what is queued, then close; nothing more is read."""

    async def drained(self) -> None:
        """Wait until there is little left to write."""


class _Over:
    """Carries a session whose connection is over: there is nothing to write, and nobody."""

    local_host = "?"

    def hang_up(self) -> None:
        """Do nothing: it is closed."""

    async def drained(self) -> None:
        """Return at once."""


_OVER: Final = _Over()


class Session:
    """The state of one connection, shared by the services; `connected` is monotonic, in s."""

    __slots__ = (
        "_carrier",
        "address",
        "connected",
        "how_it_ended",
        "identity",
        "inflight",
        "is_closing",
        "is_live",
        "is_nameless",
        "key",
        "name",
        "outbox",
        "owed",
        "read_ns",
        "wants_presence",
    )

    def __init__(self, address: str, connected: float, outbox: Outbox, carrier: Carrier) -> None:
        self.address = address
        self.connected = connected
        self.outbox = outbox
        self.read_ns = 0
        """When the bytes being handled were read, ns since the Unix epoch."""
        self.identity = 0
        """Who it is in the log; 0 before the welcome."""
        self.name = ""
        self.key = ""
        self.is_nameless = False
        self.wants_presence = False
        self.is_live = False
        """Whether deliveries come straight from the log's commits; not during a replay."""
        self.is_closing = False
        self.how_it_ended = ""
        self.inflight = Tally()
        """Messages that wait for the log; from `MAX_INFLIGHT` on nothing more is read."""
        self.owed = Tally()
        """Answers that are due later; a connection at the end of its input stays open for them."""
        self._carrier: Carrier = carrier

    def __str__(self) -> str:
        return f"{self.name} ({self.address})" if self.name else self.address

    @property
    def host(self) -> str:
        """The address of the client's machine."""
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def local_host(self) -> str:
        """The address of this machine that the client connected to."""
        return self._carrier.local_host

    @property
    def is_welcome(self) -> bool:
        """Whether it said hello and was accepted."""
        return self.identity != 0

    @property
    def is_full(self) -> bool:
        """Whether so much is under way for it that nothing more should be asked of the server."""
        return self.outbox.is_busy or self.inflight.count >= MAX_INFLIGHT

    def send(self, message: Message) -> None:
        """Queue a message for this session alone."""
        if not self.is_closing:
            self.outbox.send(message)

    def send_long(self, message: Message) -> None:
        """Queue a message that may be long: its bytes count at once."""
        self.send(message)
        self.outbox.pack()

    def close(self, how: str, error: Error | None = None) -> None:
        """End the session after what is queued, and `error`, have been written.

        `how` completes the sentence "disconnected: …" in the server's log.
        """
        if self.is_closing:
            return
        if error is not None:
            self.outbox.send(error)
        self.is_closing = True
        self.how_it_ended = how
        self._carrier.hang_up()

    async def drained(self) -> None:
        """Wait until what is queued has been written, nearly: a long answer sends in steps."""
        await self._carrier.drained()

    def let_go(self) -> None:
        """Forget the connection, which is over."""
        self._carrier = _OVER
