"""The services behind real connections, whose clients sit at the other end of a cable in memory.

Only the transport under a connection is made up (`cable`), and how it controls the flow. A client
takes as many bytes as it has room for, and time passes as in `virtual_time`.
"""

import asyncio
import json
from typing import Any, Final, Self

from chatd.connection import Connection, ConnectionLimits
from chatd.log.memory import MemoryLog
from chatd.turn import WriteBatcher
from tests.chatd.cable import Cable
from tests.chatd.stage import Json, Stage
from tests.chatd.virtual_time import quiet

PLENTY: Final = 10**12
READER_LIMIT: Final = 128 * 1024


class Client:
    """One client and the connection that serves it."""

    def __init__(
        self, house: "House", peer: tuple[str, int] | None, room: int, descriptor: int
    ) -> None:
        reader = asyncio.StreamReader(limit=READER_LIMIT)
        streams = asyncio.StreamReaderProtocol(reader, self._accept)
        self._house = house
        self._unsent = bytearray()
        self._seen = 0
        self.served: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the server has let go of the connection."""
        self.cable = Cable(streams, house.writes, peer, room, descriptor)
        streams.connection_made(self.cable)

    def _accept(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connection = self._house.make_connection(writer, self.served)
        self.session = self.connection.session
        self.connection.start()

    def feed(self, chunk: bytes) -> None:
        """Have bytes arrive at the server."""
        self.cable.get_protocol().data_received(chunk)

    async def send(self, raw: bytes) -> None:
        """Send bytes, as far as the server reads, and let it do what it can."""
        self._unsent += raw
        await quiet()
        while self._unsent and self.cable.is_read:
            chunk = bytes(self._unsent[:READER_LIMIT])
            del self._unsent[:READER_LIMIT]
            self.feed(chunk)
            await quiet()

    async def say(self, *messages: Json) -> None:
        """Send messages in one go, each on its line."""
        await self.send(b"".join(json.dumps(message).encode() + b"\n" for message in messages))

    async def hello(self, name: str, **fields: Any) -> Json:
        """Say hello and return the welcome."""
        await self.say({"code": "hello", "name": name, **fields})
        (welcome,) = await self.heard()
        return welcome

    @property
    def held(self) -> int:
        """Bytes that the server holds for this client."""
        return self.session.send_queue.size + self.cable.get_write_buffer_size()

    async def take(self, size: int) -> list[str]:
        """Take `size` bytes more, send on what was not read before, and return the lines."""
        self.cable.make_room(size)
        await self.send(b"")
        return await self.lines()

    async def take_all(self, step: int) -> list[str]:
        """Take `step` bytes at a time until there is no more; return the lines."""
        lines = await self.lines()
        while self.held or self._unsent:
            lines += await self.take(step)
        return lines

    async def end(self) -> None:
        """Close this side; what comes is still taken."""
        self.cable.get_protocol().eof_received()
        await quiet()

    async def reset(self) -> None:
        """Break off."""
        self.cable.lose(ConnectionResetError(104, "Connection reset by peer"))
        await quiet()

    async def fate(self) -> str:
        """Tell how the server ended the connection: "served" if not yet, "closed", "aborted"."""
        await quiet()
        return self.cable.close_reason or "served"

    async def lines(self) -> list[str]:
        """Return the whole lines that arrived since the last time."""
        await quiet()
        end = self.cable.taken.rfind(b"\n") + 1
        fresh, self._seen = self.cable.taken[self._seen : end], end
        return fresh.decode().split("\n")[:-1]

    async def heard(self) -> list[Json]:
        """Return the messages that arrived since the last time."""
        return [json.loads(line) for line in await self.lines()]


class House:
    """A server without its listening port; `max_line` and `send_queue_limit` in bytes."""

    def __init__(
        self,
        *,
        max_line: int = 65_536,
        send_queue_limit: int = 8 * 2**20,
        idle_timeout: float = 0.0,
        stage: Stage | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.stage = stage or Stage(lambda keep, _turn: MemoryLog(keep, loop.call_soon))
        self._write_batcher = WriteBatcher(loop.call_soon, self._write)
        self._limits = ConnectionLimits(max_line, send_queue_limit, idle_timeout)
        self._clients: list[Client] = []
        self.writes: list[Cable] = []
        """The cables that were written to, in order."""

    async def __aenter__(self) -> Self:
        await self.stage.open()
        return self

    async def __aexit__(self, *_fault: object) -> None:
        """Break every connection off and see that each was served to its end."""
        for client in self._clients:
            await client.reset()
        await asyncio.gather(*[client.served for client in self._clients])

    def connect(
        self, *, room: int = PLENTY, peer: tuple[str, int] | None = ("192.0.2.1", 40000)
    ) -> Client:
        """Let a client connect that takes `room` bytes before it stops reading."""
        self._clients.append(Client(self, peer, room, len(self._clients)))
        return self._clients[-1]

    async def member(self, name: str, **fields: Any) -> Client:
        """Let a client connect and be welcomed."""
        client = self.connect()
        await client.hello(name, **fields)
        return client

    def _write(self, descriptor: int, encoded: bytes) -> int:
        return self._clients[descriptor].cable.write_directly(encoded)

    def make_connection(
        self, writer: asyncio.StreamWriter, served: asyncio.Future[None]
    ) -> Connection:
        """Do what the server does with a new connection."""
        return Connection(
            writer,
            router=self.stage.router,
            write_batcher=self._write_batcher,
            wheel=self.stage.wheel,
            clock=self.stage.clock,
            limits=self._limits,
            on_closed=lambda _connection: served.set_result(None),
        )


def echo(content: str) -> Json:
    """Return a message that is answered with the same."""
    return {"code": "echo", "content": content}


async def reason(client: Client) -> str:
    """Return the reason of the error that came last."""
    error = (await client.heard())[-1]
    assert error["code"] == "error"
    return str(error["reason"])
