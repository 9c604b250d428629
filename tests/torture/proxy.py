"""A proxy between the clients and the daemon that cuts connections in the middle of a line."""

import asyncio
import random
import re
from asyncio import StreamReader, StreamWriter
from contextlib import suppress
from typing import Final

ANY_LINE: Final = re.compile(rb'\{"code":"[^\n]*')
ACK: Final = re.compile(rb'\{"code":"ack"[^\n]*')
"""After a cut within an ack the client cannot know whether its message is in the log."""

MAX_HALF_OPEN: Final = 1.0
"""Seconds (s) at most for which the daemon keeps a connection that the client has lost."""

_CHUNK: Final = 2**16


class Proxy:
    """Listens on a free port of loopback for connections to the daemon on port `target`."""

    def __init__(self, target: int, draw: random.Random) -> None:
        self.cuts = 0
        """Connections that were broken."""
        self.ack_cuts = 0
        """Those of them that were broken within an ack."""
        self._target = target
        self._random = draw
        self._pending_cuts: list[re.Pattern[bytes]] = []
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
        """Cut the next connection that carries a line, or half the time one that carries an ack."""
        self._pending_cuts.append(self._random.choice((ANY_LINE, ACK)))

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        serving = asyncio.current_task()
        assert serving is not None
        self._serving.add(serving)
        try:
            with suppress(OSError):
                await self._connect(reader, writer)
        finally:
            writer.close()
            self._serving.discard(serving)

    async def _connect(self, reader: StreamReader, writer: StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            await self._forward(reader, writer, far_reader, far_writer)
            # The client still receives what was forwarded, and half a line; the rest is dropped.
            writer.close()
            if self._random.random() < 0.5:
                await self._stay_half_open(far_reader)
        finally:
            far_writer.close()

    async def _forward(
        self,
        reader: StreamReader,
        writer: StreamWriter,
        far_reader: StreamReader,
        far_writer: StreamWriter,
    ) -> None:
        """Return when either side has ended, or was cut."""
        directions = [
            asyncio.create_task(self._copy(reader, far_writer)),
            asyncio.create_task(self._copy(far_reader, writer)),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in directions:
                task.cancel()
            await asyncio.gather(*directions, return_exceptions=True)

    async def _stay_half_open(self, far_reader: StreamReader) -> None:
        """Keep the connection to the daemon open for a while, as after a lost FIN."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._random.uniform(0, MAX_HALF_OPEN)):
                await far_reader.read(-1)

    async def _copy(self, source: StreamReader, sink: StreamWriter) -> None:
        while chunk := await source.read(_CHUNK):
            if position := self._cut_position(chunk):
                sink.write(chunk[:position])
                return
            sink.write(chunk)
            await sink.drain()

    def _cut_position(self, chunk: bytes) -> int:
        """Return how many bytes of `chunk` to forward before the cut; 0 for no cut."""
        for pattern in self._pending_cuts:
            if lines := [*pattern.finditer(chunk)]:
                self._pending_cuts.remove(pattern)
                line = self._random.choice(lines)
                self.cuts += 1
                self.ack_cuts += ACK.fullmatch(line[0]) is not None
                return self._random.randint(line.start() + 1, line.end() - 1)
        return 0
