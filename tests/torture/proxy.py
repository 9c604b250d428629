"""Stands between the clients and the daemon, and breaks connections in the middle of a line."""

import asyncio
import random
import re
from asyncio import StreamReader, StreamWriter
from contextlib import suppress
from typing import Final

ANY_LINE: Final = re.compile(rb'\{"code":"[^\n]*')
ACK: Final = re.compile(rb'\{"code":"ack"[^\n]*')
"""A break within one leaves the client in doubt whether its message is in the log."""

LINGER: Final = 1.0
"""Seconds (s) for which the daemon at most believes that a client is there whose link is gone."""

_CHUNK: Final = 2**16


class Proxy:
    """Listens on a free port of loopback for connections to the daemon on port `target`."""

    def __init__(self, target: int, draw: random.Random) -> None:
        self.cuts = 0
        """Connections that were broken."""
        self._target = target
        self._draw = draw
        self._orders: list[re.Pattern[bytes]] = []
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def close(self) -> None:
        """End all connections."""
        self._server.close()
        for serving in self._serving:
            serving.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def cut(self) -> None:
        """Break the next connection that passes a line, or half the time one that passes an ack."""
        self._orders.append(self._draw.choice((ANY_LINE, ACK)))

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        serving = asyncio.current_task()
        assert serving is not None
        self._serving.add(serving)
        try:
            with suppress(OSError):
                await self._join(reader, writer)
        finally:
            writer.close()
            self._serving.discard(serving)

    async def _join(self, reader: StreamReader, writer: StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            await self._pass_on(reader, writer, far_reader, far_writer)
            # What was passed on still arrives, the half line too; the rest is nobody's any more.
            writer.close()
            if self._draw.random() < 0.5:
                await self._linger(far_reader)
        finally:
            far_writer.close()

    async def _pass_on(
        self,
        reader: StreamReader,
        writer: StreamWriter,
        far_reader: StreamReader,
        far_writer: StreamWriter,
    ) -> None:
        """Return when either side has ended, or was cut."""
        ways = [
            asyncio.create_task(self._pump(reader, far_writer)),
            asyncio.create_task(self._pump(far_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _linger(self, far_reader: StreamReader) -> None:
        """Leave the daemon alone with a dead connection, until it hangs up by itself or tires."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._draw.uniform(0, LINGER)):
                await far_reader.read(-1)

    async def _pump(self, source: StreamReader, sink: StreamWriter) -> None:
        while chunk := await source.read(_CHUNK):
            if place := self._place_to_cut(chunk):
                sink.write(chunk[:place])
                return
            sink.write(chunk)
            await sink.drain()

    def _place_to_cut(self, chunk: bytes) -> int:
        """Return how much of `chunk` to pass on before the break; 0 for all of it, and none."""
        for order in self._orders:
            if lines := [*order.finditer(chunk)]:
                self._orders.remove(order)
                self.cuts += 1
                line = self._draw.choice(lines)
                return self._draw.randint(line.start() + 1, line.end() - 1)
        return 0
