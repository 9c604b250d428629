"""Protocol multiplexing: the first bytes of a connection choose the protocol that serves it.

One port serves every protocol in a table. A row of the table recognises the first bytes of its
protocol and knows how to serve it; the multiplexer knows neither. What follows decides, in this
order:

1. Nothing has come yet: wait. Whatever has to be said first (the server is full, it shuts down, the
   client was silent for too long) is said in the default protocol.
2. The rows are asked from the top. The first that says yes has the connection.
3. A row needs more bytes to tell: wait for them, whatever the rows below say. A client cannot make
   this last: after `MAX_PREFIX` bytes or `PREFIX_TIMEOUT` seconds such a row counts as a no.
4. No row says yes: the default protocol, the last row, has the connection.

The protocol then takes the place of the multiplexer on the transport, and gets the bytes that were
read so far as if they came now.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final, cast

from msgspec import Struct

from chatd.core.send_queue import Writer
from chatd.net.listeners import Release
from chatd.net.open_connections import OpenConnections
from chatd.net.write_batcher import DirectWriter
from common.messages import Error
from common.system.clock import Clock
from common.values import Address

logger: Final = logging.getLogger(__name__)

MAX_PREFIX: Final = 1_024
"""Bytes after which the choice is made with what is known."""

PREFIX_TIMEOUT: Final = 5.0
"""Seconds (s) from the first byte after which the choice is made with what is known."""


class Match(Enum):
    """Whether the first bytes of a connection are those of a protocol."""

    YES = "yes"
    NO = "no"
    NEED_MORE = "need more"


class Accepted(Struct, frozen=True):
    """A connection that was accepted, as its protocol is given it; `connected_at` is monotonic.

    The protocol calls `release` once the connection is lost.
    """

    transport: asyncio.Transport
    writer: Writer
    address: str
    connected_at: float
    release: Release


class ServerProtocol(asyncio.Protocol, ABC):
    """A protocol that can serve a connection from its first byte to its end."""

    __slots__ = ()

    @abstractmethod
    def start(self) -> None:
        """Begin to serve; a connection that is refused never starts."""

    @abstractmethod
    def close(self, reason: str, error: Error) -> None:
        """Tell the client `error`, then close; `reason` is for the log."""

    @abstractmethod
    def close_idle(self) -> None:
        """Close because nothing came for too long."""

    @abstractmethod
    def abort(self) -> None:
        """Cut the connection off, whatever is still to be written."""


class ProtocolEntry(Struct, frozen=True):
    """A row of the table: how to recognise a protocol, and how to serve it."""

    name: str
    looks_like: Callable[[bytes], Match]
    make_protocol: Callable[[Accepted], ServerProtocol]


def any_bytes(_prefix: bytes) -> Match:
    """Recognise everything, as the default protocol does."""
    return Match.YES


def choose(
    table: Sequence[ProtocolEntry], prefix: bytes, *, is_final: bool
) -> ProtocolEntry | None:
    """Return the row of the protocol that begins with `prefix`, or None where more must be read.

    `is_final` says that no more will be read, so that some row is returned.
    """
    for entry in table:
        match entry.looks_like(prefix):
            case Match.YES:
                return entry
            case Match.NEED_MORE if not is_final:
                return None
    return table[-1]


class Multiplexer:
    """Makes the first protocol of every connection, which finds out the one that serves it.

    `idle_timeout` is how long a client may be silent before its first byte, in s; 0 for ever.
    """

    def __init__(
        self,
        table: Sequence[ProtocolEntry],
        connections: OpenConnections,
        clock: Clock,
        *,
        idle_timeout: float,
        make_writer: Callable[[asyncio.Transport], Writer] | None = None,
    ) -> None:
        self.table = table
        self.connections = connections
        self.clock = clock
        self.idle_timeout = idle_timeout
        self.make_writer = make_writer or _direct_writer

    def make_protocol(self, release: Release) -> asyncio.Protocol:
        """Return the protocol of a connection that was accepted; see `listeners.Release`."""
        return UndecidedConnection(self, release)


class UndecidedConnection(asyncio.Protocol):
    """A connection whose protocol is not chosen yet."""

    __slots__ = (
        "_address",
        "_connected_at",
        "_multiplexer",
        "_prefix",
        "_release",
        "_timer",
        "_transport",
    )

    def __init__(self, multiplexer: Multiplexer, release: Release) -> None:
        self._multiplexer = multiplexer
        self._release = release
        self._prefix = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first bytes, unless the connection is refused."""
        self._transport = cast(asyncio.Transport, transport)
        self._address = _address(transport)
        self._connected_at = self._multiplexer.clock.monotonic()
        if not self._multiplexer.connections.admit(self):
            return
        logger.info("%s: connected", self._address)
        if self._multiplexer.idle_timeout:
            self._timer = asyncio.get_running_loop().call_later(
                self._multiplexer.idle_timeout, self._close_idle
            )

    def data_received(self, chunk: bytes) -> None:
        """Choose the protocol if these bytes are enough for that."""
        prefix = self._prefix + chunk
        entry = choose(self._multiplexer.table, prefix, is_final=len(prefix) >= MAX_PREFIX)
        if entry is not None:
            self._serve(entry, prefix)
            return
        if not self._prefix:
            self._cancel_timer()
            self._timer = asyncio.get_running_loop().call_later(PREFIX_TIMEOUT, self._decide)
        self._prefix = prefix

    def eof_received(self) -> bool | None:
        """Choose with what came, and pass the end of input on."""
        return self._decide().eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the connection: nobody served it yet."""
        self._cancel_timer()
        logger.info("%s: disconnected: %s", self._address, describe_loss(error))
        self._release()
        self._multiplexer.connections.closed(self)

    def close(self, reason: str, error: Error) -> None:
        """Tell the client `error` in the default protocol, then close."""
        self._replace(self._multiplexer.table[-1]).close(reason, error)

    def abort(self) -> None:
        """Cut the connection off."""
        self._transport.abort()

    def _close_idle(self) -> None:
        self._replace(self._multiplexer.table[-1]).close_idle()

    def _decide(self) -> ServerProtocol:
        """Choose without waiting any longer."""
        table = self._multiplexer.table
        return self._serve(choose(table, self._prefix, is_final=True) or table[-1], self._prefix)

    def _serve(self, entry: ProtocolEntry, prefix: bytes) -> ServerProtocol:
        protocol = self._replace(entry)
        protocol.start()
        if prefix:
            protocol.data_received(prefix)
        return protocol

    def _replace(self, entry: ProtocolEntry) -> ServerProtocol:
        """Let the protocol of `entry` take the place of this one."""
        self._cancel_timer()
        transport, multiplexer = self._transport, self._multiplexer
        writer = multiplexer.make_writer(transport)
        protocol = entry.make_protocol(
            Accepted(transport, writer, self._address, self._connected_at, self._release)
        )
        transport.set_protocol(protocol)
        multiplexer.connections.replace(self, protocol)
        return protocol

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def describe_loss(error: Exception | None) -> str:
    """Return why a connection is over that neither side closed properly, for the log."""
    reason = getattr(error, "strerror", None) or error
    return f"connection lost ({reason})" if error else "connection lost"


def _direct_writer(transport: asyncio.Transport) -> Writer:
    return DirectWriter(transport.get_extra_info("socket").fileno())


def _address(transport: asyncio.BaseTransport) -> str:
    # A client may be gone before its connection is accepted; then it has no address any more.
    host, port = (transport.get_extra_info("peername") or ("?", 0))[:2]
    return str(Address(host, port))
