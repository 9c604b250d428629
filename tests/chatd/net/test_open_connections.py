"""How many connections may be open, and how all of them are closed."""

from tests.support.memory_server import MemoryServer, reason

PING = b'{"code":"ping"}\n'


async def test_a_connection_too_many_is_closed_with_the_reason() -> None:
    async with MemoryServer(max_connections=2) as server:
        silent, ann = server.connect(), await server.client("ann")
        refused = server.connect()
        (error,) = await refused.received()
        assert (error["reason"], error["detail"]) == (
            "server_full",
            "all 2 connections are in use; try again later",
        )
        assert refused.session.close_reason == "server full"
        await silent.send_bytes(PING)
        await ann.send_bytes(PING)
        assert len(await silent.received()) == len(await ann.received()) == 1


async def test_a_connection_that_is_over_makes_room_for_another() -> None:
    async with MemoryServer(max_connections=1) as server:
        first = await server.client("ann")
        await first.reset()
        second = server.connect()
        await second.send_bytes(PING)
        assert [message["code"] for message in await second.received()] == ["pong"]


async def test_every_connection_is_told_that_the_server_stops_also_before_its_first_byte() -> None:
    async with MemoryServer() as server:
        silent, ann = server.connect(), await server.client("ann")
        await server.connections.close_all(within=1.0)
        assert await reason(silent) == await reason(ann) == "shutting_down"
        assert len(server.connections) == 2
        await server.connections.abort_all(within=1.0)
        assert len(server.connections) == 0


async def test_nobody_is_waited_for_who_closes_at_once() -> None:
    async with MemoryServer() as server:
        ann = await server.client("ann")
        await ann.send_eof()
        await server.connections.close_all(within=1e9)
        assert len(server.connections) == 0


async def test_once_the_server_stops_new_connections_are_refused() -> None:
    async with MemoryServer() as server:
        server.connections.refuse_new()
        late = server.connect()
        assert await reason(late) == "shutting_down"
        assert late.session.close_reason == "server shutting down"


async def test_connections_are_counted_with_those_that_were_refused() -> None:
    async with MemoryServer(max_connections=1) as server:
        for _ in range(3):
            server.connect()
        assert (server.metrics.connections, server.metrics.connections_refused) == (3, 2)
