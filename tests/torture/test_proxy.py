"""The proxy between real sockets: it forwards everything, or cuts within a line."""

import asyncio
import random
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final, NamedTuple

from tests.torture.proxy import Proxy

LINE: Final = b'{"code":"outgoing","ref":"1"}\n'
ACK: Final = b'{"code":"ack","ref":"1","id":1}\n'
TIMEOUT: Final = 60.0


class ProxiedServer(NamedTuple):
    """A proxy, a client's two ends, and what the server has received."""

    proxy: Proxy
    reader: StreamReader
    writer: StreamWriter
    received: list[bytes]


@asynccontextmanager
async def proxied(seed: int = 0) -> AsyncIterator[ProxiedServer]:
    """Set up a server that answers each line with itself and an ack."""
    received: list[bytes] = []

    async def answer(reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError):
            async for line in reader:
                received.append(line)
                writer.write(line + ACK)
        writer.close()

    async with asyncio.timeout(TIMEOUT), await asyncio.start_server(answer, "127.0.0.1") as server:
        proxy = Proxy(server.sockets[0].getsockname()[1], random.Random(seed))
        await proxy.start()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            yield ProxiedServer(proxy, reader, writer, received)
            writer.transport.abort()
        finally:
            await proxy.close()


async def test_what_nobody_cuts_arrives_whole() -> None:
    async with proxied() as setup:
        for _ in range(3):
            setup.writer.write(LINE)
            assert await setup.reader.readline() == LINE
            assert await setup.reader.readline() == ACK
        assert setup.received == [LINE] * 3
        assert setup.proxy.cuts == 0


async def test_the_end_of_one_side_is_the_end_of_the_other() -> None:
    async with proxied() as setup:
        setup.writer.write_eof()
        assert await setup.reader.read() == b""


async def test_a_cut_ends_one_connection_within_a_line() -> None:
    async with proxied() as setup:
        setup.proxy.cut()
        setup.writer.write(LINE)
        reply = await setup.reader.read()
        assert setup.proxy.cuts == 1
        assert len(reply) < len(LINE + ACK)
        assert not reply.endswith(b"\n")

        reader, writer = await asyncio.open_connection("127.0.0.1", setup.proxy.port)
        writer.write(LINE)
        assert await reader.readexactly(len(LINE + ACK)) == LINE + ACK
        writer.transport.abort()


async def test_some_cuts_come_in_any_line_and_some_wait_for_an_acknowledgement() -> None:
    acks = []
    for seed in range(8):
        async with proxied(seed) as setup:
            setup.proxy.cut()
            setup.writer.write(LINE)
            reply = await setup.reader.read()
            acks.append(reply.startswith(LINE) and ACK.startswith(reply.removeprefix(LINE)))
    assert set(acks) == {True, False}
