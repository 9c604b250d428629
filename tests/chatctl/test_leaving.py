"""The end of a client, over a real socket to a scripted server."""

import asyncio

import pytest

from chatctl.client import CannotConnectError, Reconnecting
from tests.chatctl.scripted import ScriptedServer, log_in, next_event


async def test_quit_says_goodbye_and_takes_the_acknowledgements_on_their_way(
    server: ScriptedServer,
) -> None:
    client = server.client()
    async with client:
        connection = await log_in(server, client)
        connection.closes_on_quit = False
        call = asyncio.create_task(client.broadcast("bye"))
        message = await connection.expect("outgoing_broadcast")

        leaving = asyncio.create_task(client.quit())
        await connection.expect("quit")
        connection.send("ack", id=1, ref=message["ref"])
        connection.close()
        await leaving

        assert (await call).id == 1
        assert [event async for event in client] == []
        with pytest.raises(CannotConnectError, match="has quit"):
            await client.who()


async def test_a_program_that_fails_leaves_at_once(server: ScriptedServer) -> None:
    async def fail() -> None:
        async with server.client():
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()

    assert await (await server.accept()).receive() == {}


async def test_one_may_quit_while_there_is_no_connection(server: ScriptedServer) -> None:
    async with server.client() as client:
        await log_in(server, client)
        server.close()
        assert isinstance(await next_event(client), Reconnecting)
        call = asyncio.create_task(client.who())
        await asyncio.sleep(0)

        await client.quit()

        with pytest.raises(CannotConnectError, match="has quit"):
            await call
