"""One TCP connection: bytes out, messages in, until it is lost."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from chatctl.errors import CannotConnectError
from common.codec import BadLine, Decoder, encode
from common.messages import FROM_SERVER
from common.messages.base import Message
from common.messages.basic import Ping

MAX_LINE: Final = 16 * 2**20
"""Longest line taken from a server, in bytes: a list of 10,000 long names still fits."""

_CHUNK: Final = 64 * 2**10
_PING: Final = encode(Ping())


class LinkLostError(Exception):
    """The connection is gone; the text says how, as far as one can tell."""


class Link:
    """An open connection; when nothing was heard for `silence` s it asks whether anyone is there.

    A connection whose other end vanished without a word is noticed only so: reading from it
    waits for ever.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, silence: float
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._silence = silence
        self._decoder: Decoder[Any] = Decoder(FROM_SERVER, MAX_LINE)
        self.is_closed = False

    @classmethod
    async def open(cls, host: str, port: int, within: float, silence: float) -> "Link":
        """Connect within `within` s; raises CannotConnectError."""
        try:
            async with asyncio.timeout(within):
                streams = await asyncio.open_connection(host, port, limit=_CHUNK)
        except TimeoutError:
            problem = f"nothing answered within {within:g} s"
        except OSError as failure:
            problem = _reason(failure)
        else:
            return cls(*streams, silence)
        raise CannotConnectError(
            f"cannot connect to {host}:{port}: {problem}; is chatd running there?"
        )

    def write(self, line: bytes) -> None:
        """Queue bytes; a lost connection is noticed by who reads."""
        if not self._writer.is_closing():
            self._writer.write(line)

    async def drain(self) -> None:
        """Wait until there is little left to write, or nobody to write to."""
        try:
            await self._writer.drain()
        except ConnectionError:
            return

    async def read(self) -> Iterable[Message | BadLine]:
        """Wait for messages; consume them before the next call. Raises LinkLostError."""
        chunk = await self._read_chunk()
        if not chunk:
            raise LinkLostError("the server closed the connection")
        messages: Iterable[Message | BadLine] = self._decoder.feed(chunk)
        return messages

    def close(self) -> None:
        """Let go at once; what was not written is lost."""
        self.is_closed = True
        self._writer.transport.abort()

    async def _read_chunk(self) -> bytes:
        try:
            try:
                async with asyncio.timeout(self._silence):
                    return await self._reader.read(_CHUNK)
            except TimeoutError:
                self.write(_PING)
            async with asyncio.timeout(self._silence):
                return await self._reader.read(_CHUNK)
        except TimeoutError:
            raise LinkLostError(f"the server was silent for {2 * self._silence:g} s") from None
        except OSError as failure:
            raise LinkLostError(_reason(failure)) from None


def _reason(failure: OSError) -> str:
    return (failure.strerror or str(failure)).lower()
