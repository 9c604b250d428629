"""The proxy between real sockets: it passes everything on, or cuts within a line."""

import asyncio
import random
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final, NamedTuple

from tests.torture.proxy import Proxy

LINE: Final = b'{"code":"outgoing","ref":"1"}\n'
ACK: Final = b'{"code":"ack","ref":"1","id":1}\n'
PATIENCE: Final = 60.0


class Stage(NamedTuple):
    """A proxy, a client's two ends, and what the server has heard."""

    proxy: Proxy
    reader: StreamReader
    writer: StreamWriter
    heard: list[bytes]


@asynccontextmanager
async def proxied(seed: int = 0) -> AsyncIterator[Stage]:
    """Set up a server that answers each line with itself and an ack."""
    heard: list[bytes] = []

    async def answer(reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError):
            async for line in reader:
                heard.append(line)
                writer.write(line + ACK)
        writer.close()

    async with asyncio.timeout(PATIENCE), await asyncio.start_server(answer, "127.0.0.1") as server:
        proxy = Proxy(server.sockets[0].getsockname()[1], random.Random(seed))
        await proxy.start()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            yield Stage(proxy, reader, writer, heard)
            writer.transport.abort()
        finally:
            await proxy.close()


async def test_what_nobody_cuts_arrives_whole() -> None:
    async with proxied() as stage:
        for _ in range(3):
            stage.writer.write(LINE)
            assert await stage.reader.readline() == LINE
            assert await stage.reader.readline() == ACK
        assert stage.heard == [LINE] * 3
        assert stage.proxy.cuts == 0


async def test_the_end_of_one_side_is_the_end_of_the_other() -> None:
    async with proxied() as stage:
        stage.writer.write_eof()
        assert await stage.reader.read() == b""


async def test_a_cut_ends_one_connection_within_a_line() -> None:
    async with proxied() as stage:
        stage.proxy.cut()
        stage.writer.write(LINE)
        told = await stage.reader.read()
        assert stage.proxy.cuts == 1
        assert len(told) < len(LINE + ACK)
        assert not told.endswith(b"\n")

        reader, writer = await asyncio.open_connection("127.0.0.1", stage.proxy.port)
        writer.write(LINE)
        assert await reader.readexactly(len(LINE + ACK)) == LINE + ACK
        writer.transport.abort()


async def test_some_cuts_come_in_any_line_and_some_wait_for_an_acknowledgement() -> None:
    acks = []
    for seed in range(8):
        async with proxied(seed) as stage:
            stage.proxy.cut()
            stage.writer.write(LINE)
            told = await stage.reader.read()
            acks.append(told.startswith(LINE) and ACK.startswith(told.removeprefix(LINE)))
    assert set(acks) == {True, False}
