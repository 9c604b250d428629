"""The services behind real connections whose transport is in memory.

Only the transport under a connection is made up (`MemoryTransport`), and how it controls the flow.
A client takes as many bytes as its window has, and time passes as in `virtual_time`.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any, Final, Self

from chatd.config import ConnectionLimits
from chatd.core.metrics import Metrics
from chatd.core.send_queue import Writer
from chatd.messagelog.memory import MemoryLog
from chatd.net.connection import Connection, Environment
from chatd.net.multiplex import Accepted, Multiplexer, ProtocolEntry, any_bytes
from chatd.net.open_connections import OpenConnections
from chatd.net.write_batcher import WriteBatcher
from tests.support.fake_time import quiet
from tests.support.memory_transport import MemoryTransport
from tests.support.service_harness import Json, ServiceHarness

PLENTY: Final = 10**12
READER_LIMIT: Final = 128 * 1024


class MemoryWriter:
    """Writes to a transport in memory past its buffer, as a descriptor is written to."""

    def __init__(self, transport: asyncio.Transport) -> None:
        assert isinstance(transport, MemoryTransport)
        self._transport = transport

    def write(self, encoded: bytes) -> int:
        return self._transport.write_directly(encoded)


class MemoryClient:
    """One client and the connection that serves it."""

    def __init__(self, server: "MemoryServer", peer: tuple[str, int] | None, window: int) -> None:
        self._server = server
        self._unsent = bytearray()
        self._seen = 0
        self.served: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the server has forgotten the connection."""
        protocol = server.make_multiplexer(self._serve).make_protocol(lambda: None)
        self.transport = MemoryTransport(protocol, server.writes, peer, window)
        protocol.connection_made(self.transport)

    def _serve(self, accepted: Accepted) -> Connection:
        self.connection = Connection(accepted, self._server.environment, self._on_closed)
        self.session = self.connection.session
        return self.connection

    def _on_closed(self, connection: Connection) -> None:
        self._server.connections.closed(connection)
        self.served.set_result(None)

    def feed(self, chunk: bytes) -> None:
        """Have bytes arrive at the server."""
        self.transport.get_protocol().data_received(chunk)

    async def send_bytes(self, raw: bytes) -> None:
        """Send bytes, as far as the server reads, and let it do what it can."""
        self._unsent += raw
        await quiet()
        while self._unsent and self.transport.is_reading_enabled:
            chunk = bytes(self._unsent[:READER_LIMIT])
            del self._unsent[:READER_LIMIT]
            self.feed(chunk)
            await quiet()

    async def send(self, *messages: Json) -> None:
        """Send messages in one go, each on its line."""
        await self.send_bytes(
            b"".join(json.dumps(message).encode() + b"\n" for message in messages)
        )

    async def hello(self, name: str, **fields: Any) -> Json:
        """Say hello and return the welcome."""
        await self.send({"code": "hello", "name": name, **fields})
        (welcome,) = await self.received()
        return welcome

    @property
    def queued_bytes(self) -> int:
        """Bytes that the server holds for this client."""
        return self.session.send_queue.size + self.transport.get_write_buffer_size()

    async def take(self, size: int) -> list[str]:
        """Take `size` bytes more, send on what was not read before, and return the lines."""
        self.transport.open_window(size)
        await self.send_bytes(b"")
        return await self.lines()

    async def take_all(self, step: int) -> list[str]:
        """Take `step` bytes at a time until there is no more; return the lines."""
        lines = await self.lines()
        while self.queued_bytes or self._unsent:
            lines += await self.take(step)
        return lines

    async def send_eof(self) -> None:
        """Close this side; what comes is still taken."""
        self.transport.get_protocol().eof_received()
        await quiet()

    async def reset(self) -> None:
        """Break off."""
        self.transport.lose(ConnectionResetError(104, "Connection reset by peer"))
        await quiet()

    async def close_state(self) -> str:
        """Tell how the server ended the connection: "served" if not yet, "closed", "aborted"."""
        await quiet()
        return self.transport.close_reason or "served"

    async def lines(self) -> list[str]:
        """Return the whole lines that arrived since the last time."""
        await quiet()
        end = self.transport.taken.rfind(b"\n") + 1
        fresh, self._seen = self.transport.taken[self._seen : end], end
        return fresh.decode().split("\n")[:-1]

    async def received(self) -> list[Json]:
        """Return the messages that arrived since the last time."""
        return [json.loads(line) for line in await self.lines()]


class MemoryServer:
    """A server without its listening port; `max_line` and `send_queue_limit` in bytes."""

    def __init__(
        self,
        *,
        max_line: int = 65_536,
        send_queue_limit: int = 8 * 2**20,
        idle_timeout: float = 0.0,
        max_connections: int = 10_000,
        table: Sequence[ProtocolEntry] = (),
        make_writer: Callable[[asyncio.Transport], Writer] = MemoryWriter,
        harness: ServiceHarness | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.harness = harness or ServiceHarness(
            lambda keep, _scheduler: MemoryLog(keep, loop.call_soon)
        )
        self.metrics = Metrics()
        limits = ConnectionLimits(
            max_line=max_line, send_queue_limit=send_queue_limit, idle_timeout=idle_timeout
        )
        self.environment = Environment(
            self.harness.router,
            WriteBatcher(loop.call_soon, self.metrics),
            self.harness.wheel,
            self.harness.clock,
            limits,
            self.metrics,
        )
        self.connections = OpenConnections(max_connections, self.metrics)
        self._table = table
        self._make_writer = make_writer
        self._clients: list[MemoryClient] = []
        self.writes: list[MemoryTransport] = []
        """The transports that were written to, in order."""

    async def __aenter__(self) -> Self:
        await self.harness.open()
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Break every connection off and see that each was served to its end."""
        for client in self._clients:
            await client.reset()
        await self.connections.abort_all(within=1.0)
        assert not len(self.connections)

    def connect(
        self, *, window: int = PLENTY, peer: tuple[str, int] | None = ("192.0.2.1", 40000)
    ) -> MemoryClient:
        """Let a client connect that takes `window` bytes before it stops reading."""
        self._clients.append(MemoryClient(self, peer, window))
        return self._clients[-1]

    async def client(self, name: str, **fields: Any) -> MemoryClient:
        """Let a client connect and be welcomed."""
        client = self.connect()
        await client.hello(name, **fields)
        return client

    def make_multiplexer(self, serve: Callable[[Accepted], Connection]) -> Multiplexer:
        """Return what chooses the protocol of one connection: `serve`, where no other row fits."""
        return Multiplexer(
            [*self._table, ProtocolEntry("JSON lines", any_bytes, serve)],
            self.connections,
            self.harness.clock,
            idle_timeout=self.environment.limits.idle_timeout,
            make_writer=self._make_writer,
        )


def echo(content: str) -> Json:
    """Return a message that is answered with the same."""
    return {"code": "echo", "content": content}


async def reason(client: MemoryClient) -> str:
    """Return the reason of the error that came last."""
    error = (await client.received())[-1]
    assert error["code"] == "error"
    return str(error["reason"])
