"""A TCP connection to the server: bytes out, messages in, with a keepalive.

`open_connection` opens any connection, and `reason` explains an OSError in plain words.
"""

import asyncio
import errno
import os
import re
import socket
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, Final, TypeVar

from chatctl.client.errors import ConnectionLostError
from chatctl.errors import CannotConnectError, NoSuchHostError
from common.messages.base import Message
from common.messages.basic import Ping
from common.protocol.codec import Decoder, InvalidLine, encode
from common.protocol.registry import FROM_SERVER
from common.values import Address

_ERRNO: Final = re.compile(r"\[Errno (\d+)\]")

T = TypeVar("T")


async def open_connection(
    opening: Awaitable[T],
    transport_of: Callable[[T], asyncio.WriteTransport],
    address: Address,
    within: float,
) -> T:
    """Await `opening`, a connection to `address`, up to `within` s; raises CannotConnectError."""
    try:
        async with asyncio.timeout(within):
            opened = await opening
    except TimeoutError:
        problem = f"no answer within {within:g} s"
    except socket.gaierror as error:
        raise NoSuchHostError(
            f"cannot connect to {address}: {reason(error)}; is the name right?"
        ) from None
    except OSError as error:
        problem = reason(error)
    else:
        transport = transport_of(opened)
        if not _is_self_connected(transport):
            return opened
        transport.abort()
        problem = os.strerror(errno.ECONNREFUSED).lower()
    raise CannotConnectError(f"cannot connect to {address}: {problem}")


def reason(error: OSError) -> str:
    """Return the cause of `error`, without the numbers, addresses and names that asyncio adds."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    # If a host name has several addresses, asyncio joins their errors into one text.
    numbers = {int(number) for number in _ERRNO.findall(str(error))}
    reasons = " or ".join(os.strerror(number).lower() for number in sorted(numbers))
    return reasons or (error.strerror or str(error)).lower()


def _is_self_connected(transport: asyncio.BaseTransport) -> bool:
    """Tell whether TCP has connected the socket to itself (RFC 9293, simultaneous open).

    That happens after many attempts to reach a port of this machine where no server listens, if
    the port is in the range that the system uses for clients.
    """
    local, remote = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
    return bool(local == remote)


MAX_LINE: Final = 16 * 2**20
"""Longest line accepted from a server, in bytes; a list of 10,000 long names fits."""

_CHUNK: Final = 64 * 2**10
_PING: Final = encode(Ping())


class ClientConnection:
    """An open connection to `address` that sends a ping when it was idle for `keepalive` s.

    The ping reveals a server that vanished without closing the connection; reading alone would
    wait for ever. It also keeps the connection open on a server with an idle timeout.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        address: Address,
        keepalive: float,
    ) -> None:
        self.address = address
        self._reader = reader
        self._writer = writer
        self._keepalive = keepalive
        self._decoder: Decoder[Any] = Decoder(FROM_SERVER, MAX_LINE)
        self._written_at = time.monotonic()
        self.is_closed = False

    @property
    def local_host(self) -> str:
        """The address of our end of the connection; "" once it is closed."""
        local: tuple[str, ...] = self._writer.get_extra_info("sockname") or ("",)
        return local[0]

    @classmethod
    async def open(
        cls, host: str, port: int, within: float, keepalive: float
    ) -> "ClientConnection":
        """Connect within `within` s; raises CannotConnectError."""
        address = Address(host, port)
        streams = await open_connection(
            asyncio.open_connection(host, port, limit=_CHUNK),
            lambda streams: streams[1].transport,
            address,
            within,
        )
        return cls(*streams, address, keepalive)

    def write(self, line: bytes) -> None:
        """Queue bytes; `read` raises if the connection is lost."""
        self._written_at = time.monotonic()
        if not self._writer.is_closing():
            self._writer.write(line)

    async def drain(self) -> None:
        """Wait until few bytes are queued, or the connection is lost."""
        try:
            await self._writer.drain()
        except OSError:
            return

    async def read(self) -> Iterable[Message | InvalidLine]:
        """Return the next messages; consume them before the next call.

        Raises ConnectionLostError.
        """
        chunk = await self._read_chunk()
        if not chunk:
            raise ConnectionLostError("the server closed the connection")
        messages: Iterable[Message | InvalidLine] = self._decoder.feed(chunk)
        return messages

    def close(self) -> None:
        """Close at once; queued bytes are lost."""
        self.is_closed = True
        self._writer.transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the connection is closed."""
        with suppress(OSError):
            await self._writer.wait_closed()

    async def _read_chunk(self) -> bytes:
        try:
            for _ in ("read", "read again after a ping"):
                if time.monotonic() - self._written_at >= self._keepalive:
                    self.write(_PING)
                try:
                    async with asyncio.timeout(self._keepalive) as limit:
                        return await self._reader.read(_CHUNK)
                except TimeoutError:
                    if not limit.expired():  # the system's ETIMEDOUT
                        raise
        except OSError as error:
            raise ConnectionLostError(reason(error)) from None
        raise ConnectionLostError(f"the server sent nothing for {2 * self._keepalive:g} s")
