"""A program that does not take its events: bounded memory, no lost message, no waiting for ever."""

import asyncio
from collections.abc import Iterable

from chatctl.client import IncomingBroadcast
from chatctl.client.connection import ClientConnection
from chatctl.client.event_queue import EventQueue
from chatctl.client.reconnect import Backoff
from chatctl.client.session import ClientSession
from common.messages.base import Message
from common.messages.chat import Users, Who
from common.protocol.codec import InvalidLine
from tests.support.scripted_server import ScriptedServer, log_in, next_contents


async def test_an_answer_comes_through_a_full_queue_and_no_message_is_lost(
    server: ScriptedServer,
) -> None:
    async with server.client(max_queue=2) as client:
        connection = await log_in(server, client)

        call = asyncio.create_task(client.send("bob", "hi"))
        message = await connection.expect("outgoing")
        connection.deliver(*range(1, 11))
        connection.send("ack", id=11, ref=message["ref"])
        assert (await call).id == 11

        replaying = asyncio.create_task(replay(server, last=10))
        assert await next_contents(client, 10) == [f"m{number}" for number in range(1, 11)]
        replaying.cancel()


async def replay(server: ScriptedServer, last: int) -> None:
    """Serve whoever comes back as a server with a log does."""
    while True:
        connection = await server.accept()
        hello = await connection.welcome(last=last)
        connection.deliver(*range(hello["after"] + 1, last + 1))


async def test_catching_up_is_no_loss_to_report(server: ScriptedServer) -> None:
    async with server.client(max_queue=1) as client:
        connection = await log_in(server, client)
        call = asyncio.create_task(client.who())
        request = await connection.expect("who")
        connection.deliver(1, 2, 3)
        connection.send("users", users=[], ref=request["ref"])
        await call

        first = [await anext(client), await anext(client)]
        connection = await server.accept()
        await connection.welcome()
        connection.deliver(3)

        events = [*first, await anext(client)]
        assert [type(event) for event in events] == [IncomingBroadcast] * 3


async def test_who_comes_back_with_a_full_queue_asks_for_the_rest_only_when_there_is_room(
    server: ScriptedServer,
) -> None:
    async with server.client(max_queue=2) as client:
        connection = await log_in(server, client)
        call = asyncio.create_task(client.who())
        await connection.expect("who")
        connection.deliver(1, 2, 3)
        connection.close()

        connection = await server.accept()
        hello = await connection.welcome()
        assert "after" not in hello
        connection.deliver(7)
        connection.send("users", users=[], ref=(await connection.expect("who"))["ref"])
        await call

        reading = asyncio.create_task(next_contents(client, 7))
        connection = await server.accept()
        hello = await connection.welcome()
        assert hello["after"] == 3
        connection.deliver(4, 5)
        connection.deliver(6, 7)
        assert await reading == [f"m{number}" for number in range(1, 8)]


class CountingConnection(ClientConnection):
    """A connection without a socket whose messages the test puts in, and that counts the reads."""

    def __init__(self) -> None:
        self.arrived: asyncio.Queue[list[Message | InvalidLine]] = asyncio.Queue()
        self.reads = 0
        self.written: list[bytes] = []
        self.is_closed = False

    def write(self, line: bytes) -> None:
        self.written.append(line)

    async def drain(self) -> None:
        pass

    async def read(self) -> Iterable[Message | InvalidLine]:
        self.reads += 1
        return await self.arrived.get()

    def close(self) -> None:
        self.is_closed = True

    async def wait_closed(self) -> None:
        pass


async def test_a_full_queue_stops_the_reading_until_one_is_taken_or_an_answer_awaited() -> None:
    connection = CountingConnection()

    async def open_connection() -> ClientConnection:
        return connection

    session = ClientSession(open_connection, EventQueue(2), Backoff(), 0.0)
    await session.start()
    one, two, three = (
        IncomingBroadcast("bob", text, number) for number, text in enumerate("abc", 1)
    )
    connection.arrived.put_nowait([one, two])
    await settle()
    assert connection.reads == 1

    assert await session.next_event() == one
    await settle()
    assert connection.reads == 2

    connection.arrived.put_nowait([three])
    await settle()
    assert connection.reads == 2
    requesting = asyncio.create_task(session.request(Who("1"), "1", Users, None))
    await settle()
    assert connection.reads == 3
    connection.arrived.put_nowait([Users(["bob"], "1")])
    answer, _ = await requesting
    assert answer.users == ["bob"]
    await settle()
    assert connection.reads == 3

    await session.abort()


async def settle() -> None:
    """Let every task run until it waits for something that has not happened."""
    for _ in range(10):
        await asyncio.sleep(0)
