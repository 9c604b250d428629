"""A connection for stamps, with as little as possible between the kernel and the timestamp."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, cast

from chatctl.client.connection import MAX_LINE, open_connection, reason
from chatctl.client.errors import ConnectionLostError
from common.messages.base import Message
from common.protocol.codec import Decoder, InvalidLine
from common.protocol.registry import FROM_SERVER
from common.values import Address

MessageHandler = Callable[[Message | InvalidLine, int], object]

_KEEPALIVE_CHECKS: Final = 4


class StampProtocol(asyncio.Protocol):
    """Passes on each message with the time (ns, monotonic) at which its bytes were read.

    The time is taken in the call that the loop makes with the bytes; a stream would take it one
    iteration later, after all other work of that iteration. Each write is one immediate system
    call. After `keepalive` s without a byte the connection counts as lost.
    """

    def __init__(self, keepalive: float) -> None:
        self.host = ""
        """The address of the server."""
        self.local_host = ""
        self._keepalive = keepalive
        self._decoder: Decoder[Any] = Decoder(FROM_SERVER, MAX_LINE)
        self._on_message: MessageHandler | None = None
        self._on_lost: Callable[[Exception], object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._last_received_ns = 0

    @classmethod
    async def open(cls, address: Address, within: float, keepalive: float) -> "StampProtocol":
        """Connect within `within` s; raises CannotConnectError."""
        loop = asyncio.get_running_loop()
        opening = loop.create_connection(lambda: cls(keepalive), *address)
        _, protocol = await open_connection(opening, lambda pair: pair[0], address, within)
        return protocol

    def set_handlers(
        self, on_message: MessageHandler, on_lost: Callable[[Exception], object]
    ) -> None:
        """Call `on_message` for each message, and `on_lost` once, with the error that ended it."""
        self._on_message, self._on_lost = on_message, on_lost
        self._last_received_ns = time.monotonic_ns()
        self._check_keepalive()
        self._transport.resume_reading()

    def write(self, line: bytes) -> None:
        """Write bytes at once; the transport buffers what the kernel does not take."""
        self._transport.write(line)

    def close(self) -> None:
        """Close when everything is written; receive nothing more."""
        self._detach()
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport; the loop calls this."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=0)
        self._transport.pause_reading()  # until there are handlers
        self.host = transport.get_extra_info("peername")[0]
        self.local_host = transport.get_extra_info("sockname")[0]

    def data_received(self, chunk: bytes) -> None:
        """Time a chunk and pass on its messages; the loop calls this."""
        self._last_received_ns = time.monotonic_ns()
        try:
            for message in self._decoder.feed(chunk):
                if self._on_message is not None:
                    self._on_message(message, self._last_received_ns)
        except Exception as error:
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the loss; the loop calls this."""
        how = reason(exc) if isinstance(exc, OSError) else "the server closed the connection"
        self._fail(ConnectionLostError(how))

    def _check_keepalive(self) -> None:
        if time.monotonic_ns() - self._last_received_ns > self._keepalive * 1e9:
            self._fail(ConnectionLostError(f"the server sent nothing for {self._keepalive:g} s"))
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._keepalive / _KEEPALIVE_CHECKS, self._check_keepalive)

    def _fail(self, error: Exception) -> None:
        on_lost = self._on_lost
        self._detach()
        self._transport.abort()
        if on_lost is not None:
            on_lost(error)

    def _detach(self) -> None:
        self._on_message = self._on_lost = None
        if self._timer is not None:
            self._timer.cancel()
