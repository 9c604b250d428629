"""A scripted server on a real socket, and clients that run one after the other against it.

The server does only what the test says, one connection after the other. The clients share one name
and one state directory.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from chatctl.client import Client
from chatctl.client.reconnect import Backoff
from tests.support.ports import reserve_port

TIMEOUT: Final = 60.0
"""Seconds (s) to wait on a busy machine for what comes at once on an idle one."""

T = TypeVar("T")


class ServerConnection:
    """The server's end of one connection; it closes on `quit` unless set otherwise."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.closes_on_quit = True
        self._writer = writer
        self._received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def listen(self, reader: asyncio.StreamReader) -> None:
        """Read what the client sends until it ends."""
        with suppress(ConnectionError):
            while line := await reader.readline():
                message = json.loads(line)
                self._received.put_nowait(message)
                if message == {"code": "quit"} and self.closes_on_quit:
                    self.close()
        self._received.put_nowait({})

    async def receive(self) -> dict[str, Any]:
        """Return the next message; {} at the end."""
        async with asyncio.timeout(TIMEOUT):
            return await self._received.get()

    async def expect(self, code: str) -> dict[str, Any]:
        """Return the next message, which must have this code."""
        message = await self.receive()
        assert message.get("code") == code, message
        return message

    def send(self, code: str, **fields: Any) -> None:
        """Send one message."""
        self.write(json.dumps({"code": code, **fields}).encode() + b"\n")

    def write(self, raw: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(raw)

    def deliver(self, *ids: int) -> None:
        """Send a broadcast for each id."""
        for number in ids:
            self.send("incoming_broadcast", **{"from": "bob"}, content=f"m{number}", id=number)

    async def welcome(self, log: str = "log-1", **fields: Any) -> dict[str, Any]:
        """Expect a hello, accept it and return it."""
        hello = await self.expect("hello")
        fields = {"version": 1, "name": hello["name"], "token": hello["token"], "last": 0} | fields
        self.send("welcome", log=log, **fields)
        return hello

    def close(self) -> None:
        """Close the connection once all is written."""
        self._writer.close()


class ScriptedServer:
    """Accepts connections; each is waited for with `accept`."""

    def __init__(self) -> None:
        self.accepted = 0
        self.port = 0
        self._connections: asyncio.Queue[ServerConnection] = asyncio.Queue()
        self._open: list[ServerConnection] = []
        self._server: asyncio.Server | None = None
        self._reserving = ExitStack()

    async def listen(self) -> None:
        """Begin, on the same port as before if there was one."""
        if not self.port:
            self.port = self._reserving.enter_context(reserve_port())
        self._server = await asyncio.start_server(self._on_connection, "127.0.0.1", self.port)

    async def accept(self) -> ServerConnection:
        """Return the next connection."""
        async with asyncio.timeout(TIMEOUT):
            return await self._connections.get()

    def close(self) -> None:
        """Stop accepting, and close every connection."""
        assert self._server is not None
        self._server.close()
        for connection in self._open:
            connection.close()

    def release(self) -> None:
        """Give the port back; nobody listens on it again."""
        self.close()
        self._reserving.close()

    def client(self, **options: Any) -> Client:
        """Return a client for this server that comes back without waiting."""
        return Client("127.0.0.1", self.port, **{"backoff": Backoff(base=0.0)} | options)

    async def _on_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.accepted += 1
        connection = ServerConnection(writer)
        self._open.append(connection)
        self._connections.put_nowait(connection)
        await connection.listen(reader)


@asynccontextmanager
async def scripted() -> AsyncIterator[ScriptedServer]:
    """Run a server for the time of a test."""
    server = ScriptedServer()
    await server.listen()
    try:
        yield server
    finally:
        server.release()


async def run_both(call: Coroutine[Any, Any, T], script: Coroutine[Any, Any, Any]) -> T:
    """Run a client's call beside what the server does about it; return the call's result."""
    calling = asyncio.create_task(call)
    await script
    return await calling


async def log_in(server: ScriptedServer, client: Client, **welcome: Any) -> ServerConnection:
    """Have `client` log in as ann, and return the server's end."""
    connection = await server.accept()
    await run_both(client.hello("ann"), connection.welcome(**welcome))
    return connection


async def next_event(client: Client) -> Any:
    """Return the next event of `client`."""
    async with asyncio.timeout(TIMEOUT):
        return await anext(client)


async def next_contents(client: Client, count: int) -> list[str]:
    """Return the content of the next `count` deliveries, whatever else comes between."""
    contents: list[str] = []
    while len(contents) < count:
        event = await next_event(client)
        if hasattr(event, "content"):
            contents.append(event.content)
    return contents


class ProcessKilledError(BaseException):
    """The program is killed in the middle of something."""


Program: TypeAlias = Callable[[Client, ServerConnection, dict[str, Any]], Awaitable[None]]


async def run_client(
    server: ScriptedServer,
    state: Path,
    program: Program,
    *,
    welcome: dict[str, Any] | None = None,
    hello: dict[str, Any] | None = None,
    **options: Any,
) -> None:
    """Be ann for as long as `program` takes; it gets the client, the server's end and the hello."""
    with suppress(ProcessKilledError):
        async with server.client(state=state, **options) as client:
            connection = await server.accept()
            welcoming = asyncio.create_task(connection.welcome(**(welcome or {})))
            await client.hello("ann", **(hello or {}))
            await program(client, connection, await welcoming)


async def leave_one_unacknowledged(
    client: Client, connection: ServerConnection, _: dict[str, Any]
) -> None:
    """Send two messages of which the first is acknowledged, and be killed."""
    first = asyncio.create_task(client.send("bob", "one", ref="r1"))
    second = asyncio.create_task(client.broadcast("two", ref="r2"))
    await connection.expect("outgoing")
    await connection.expect("outgoing_broadcast")
    connection.send("ack", id=1, ref="r1")
    await first
    second.cancel()
    raise ProcessKilledError
