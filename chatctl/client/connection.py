"""One TCP connection: bytes out, messages in, until it is lost.

Opening a connection, and saying in plain words why one could not be opened or is gone.
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
    """Return what `opening` opens at `address` within `within` s; raises CannotConnectError."""
    try:
        async with asyncio.timeout(within):
            opened = await opening
    except TimeoutError:
        problem = f"nothing answered within {within:g} s"
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
    """Say what went wrong without what asyncio adds: numbers, addresses, function names."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    # Where a name has several addresses, the errors of all of them come as one text.
    numbers = {int(number) for number in _ERRNO.findall(str(error))}
    reasons = " or ".join(os.strerror(number).lower() for number in sorted(numbers))
    return reasons or (error.strerror or str(error)).lower()


def _is_self_connected(transport: asyncio.BaseTransport) -> bool:
    """Tell whether both ends are one: TCP connects a socket to its own port if nobody listens.

    That happens to who tries often enough to reach a server on this machine that is not there, on a
    port of the range from which the system takes those of clients (RFC 9293, simultaneous open).
    """
    local, remote = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
    return bool(local == remote)


MAX_LINE: Final = 16 * 2**20
"""Longest line taken from a server, in bytes: a list of 10,000 long names still fits."""

_CHUNK: Final = 64 * 2**10
_PING: Final = encode(Ping())


class ConnectionLostError(Exception):
    """The connection is gone; the text says how, as far as one can tell."""


class ClientConnection:
    """An open connection that sends a ping after `keepalive` s without a byte either way.

    A server that vanished without a word is noticed only so: reading from it waits for ever. And
    a server with an idle timeout learns that we are still here.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, keepalive: float
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._keepalive = keepalive
        self._decoder: Decoder[Any] = Decoder(FROM_SERVER, MAX_LINE)
        self._written_at = time.monotonic()
        self.is_closed = False

    @property
    def local_host(self) -> str:
        """The address of this machine at our end of the connection; "" once that is gone."""
        local: tuple[str, ...] = self._writer.get_extra_info("sockname") or ("",)
        return local[0]

    @classmethod
    async def open(
        cls, host: str, port: int, within: float, keepalive: float
    ) -> "ClientConnection":
        """Connect within `within` s; raises CannotConnectError."""
        streams = await open_connection(
            asyncio.open_connection(host, port, limit=_CHUNK),
            lambda streams: streams[1].transport,
            Address(host, port),
            within,
        )
        return cls(*streams, keepalive)

    def write(self, line: bytes) -> None:
        """Queue bytes; a lost connection is noticed by who reads."""
        self._written_at = time.monotonic()
        if not self._writer.is_closing():
            self._writer.write(line)

    async def drain(self) -> None:
        """Wait until there is little left to write, or nobody to write to."""
        try:
            await self._writer.drain()
        except OSError:
            return

    async def read(self) -> Iterable[Message | InvalidLine]:
        """Wait for messages; consume them before the next call. Raises ConnectionLostError."""
        chunk = await self._read_chunk()
        if not chunk:
            raise ConnectionLostError("the server closed the connection")
        messages: Iterable[Message | InvalidLine] = self._decoder.feed(chunk)
        return messages

    def close(self) -> None:
        """Close at once; what was not written is lost."""
        self.is_closed = True
        self._writer.transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the connection is gone."""
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
                    if not limit.expired():  # the system's own, ETIMEDOUT
                        raise
        except OSError as error:
            raise ConnectionLostError(reason(error)) from None
        raise ConnectionLostError(f"the server was silent for {2 * self._keepalive:g} s")
