"""Feeds of a client, over a real socket to a scripted server; how they are counted and shown."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

import pytest

from chatctl.client import Array, Client, Reconnected, Reconnecting, RefusedError, User
from tests.support.scripted_server import TIMEOUT, ScriptedServer, ServerConnection, next_event

SENT: Final = "2026-11-21T07:11:00.123456Z"
SENT_NS: Final = 1_795_245_060_123_456_000
Items = AsyncGenerator[User | Array, None]


def send(connection: ServerConnection, *numbers: int) -> None:
    """Send an array for each number."""
    for number in numbers:
        connection.send("array", n=number, sent=SENT, values=[number])


async def grant(connection: ServerConnection, *numbers: int) -> dict[str, Any]:
    """Expect a subscription, grant it, send an array for each number; return the request."""
    request = await connection.expect("subscribe")
    connection.send("subscribed", ref=request["ref"])
    send(connection, *numbers)
    return request


async def take(feed: Items, count: int) -> list[int]:
    """Return the numbers of the next `count` messages."""
    async with asyncio.timeout(TIMEOUT):
        return [(await anext(feed)).n for _ in range(count)]


async def start(
    server: ScriptedServer, client: Client, *numbers: int
) -> tuple[ServerConnection, Items]:
    """Subscribe, have a message sent for each number, and take the first."""
    feed = client.subscribe("array", interval=0.1)
    first = asyncio.create_task(take(feed, 1))
    connection = await server.accept()
    await grant(connection, *numbers)
    assert await first == [numbers[0]]
    return connection, feed


async def test_what_is_subscribed_to_comes_and_leaving_the_loop_ends_it(
    server: ScriptedServer,
) -> None:
    async def listen(client: Client) -> list[int]:
        numbers: list[int] = []
        async for item in client.subscribe("array", interval=0.25, size=3, low=-1, high=9):
            numbers.append(item.n)
            if len(numbers) == 3:
                break
        return numbers

    async with server.client() as client:
        listener = asyncio.create_task(listen(client))
        connection = await server.accept()
        request = await grant(connection, 1, 2, 3, 4)
        assert await listener == [1, 2, 3]
        assert await connection.receive() == {"code": "unsubscribe"}
        del request["ref"]
        assert request == {
            "code": "subscribe",
            "topics": ["array"],
            "interval_ms": 250,
            "size": 3,
            "low": -1,
            "high": 9,
        }


async def test_a_refused_subscription_is_raised(server: ScriptedServer) -> None:
    async with server.client() as client:
        first = asyncio.create_task(take(client.subscribe(), 1))
        connection = await server.accept()
        ref = (await connection.expect("subscribe"))["ref"]
        connection.send("error", reason="unsupported", detail="pip install 'chatd[feed]'", ref=ref)
        with pytest.raises(RefusedError, match="pip install") as error:
            await first
        assert error.value.reason == "unsupported"


@pytest.mark.parametrize("interval", [0.0001, 0.00099])
async def test_an_interval_below_a_millisecond_is_no_interval(
    server: ScriptedServer, interval: float
) -> None:
    async with server.client() as client:
        with pytest.raises(ValueError, match=r"0, or 0\.001"):
            client.subscribe(interval=interval)


async def test_after_a_lost_connection_it_subscribes_again_and_says_so(
    server: ScriptedServer,
) -> None:
    async with server.client() as client:
        connection, feed = await start(server, client, 1, 2)
        connection.close()
        connection = await server.accept()
        request = await grant(connection, 1, 2)
        assert request["interval_ms"] == 100
        assert await take(feed, 3) == [2, 1, 2]
        assert isinstance(await next_event(client), Reconnecting)
        assert isinstance(await next_event(client), Reconnected)
        await feed.aclose()


async def test_with_a_name_the_hello_comes_before_the_subscription(server: ScriptedServer) -> None:
    async with server.client() as client:
        login = asyncio.create_task(client.hello("ann"))
        connection = await server.accept()
        await connection.welcome()
        await login
        feed = client.subscribe("array")
        first = asyncio.create_task(take(feed, 1))
        await grant(connection, 1)
        await first
        connection.close()
        connection = await server.accept()
        await connection.welcome()
        await grant(connection, 1)
        assert await take(feed, 1) == [1]
        await feed.aclose()


async def test_a_subscription_that_waits_for_its_answer_is_sent_again_once(
    server: ScriptedServer,
) -> None:
    async with server.client() as client:
        feed = client.subscribe("array")
        first = asyncio.create_task(take(feed, 1))
        connection = await server.accept()
        await connection.expect("subscribe")
        connection.close()
        connection = await server.accept()
        await grant(connection, 1)
        assert await first == [1]
        await feed.aclose()
        assert await connection.receive() == {"code": "unsubscribe"}


async def test_a_server_that_comes_back_without_a_feed_ends_it_with_its_refusal(
    server: ScriptedServer,
) -> None:
    async with server.client() as client:
        connection, feed = await start(server, client, 1)
        connection.close()
        connection = await server.accept()
        ref = (await connection.expect("subscribe"))["ref"]
        connection.send("error", reason="unsupported", detail="no more", ref=ref)
        with pytest.raises(RefusedError, match="no more"):
            await take(feed, 1)


async def test_a_feed_that_was_left_is_not_asked_for_again(server: ScriptedServer) -> None:
    async with server.client() as client:
        connection, feed = await start(server, client, 1)
        connection.close()
        await feed.aclose()
        connection = await server.accept()
        call = asyncio.create_task(client.ping())
        assert (await connection.receive())["code"] == "ping"
        call.cancel()


async def test_a_newer_feed_ends_the_one_before_and_takes_nothing_of_it(
    server: ScriptedServer,
) -> None:
    async with server.client() as client:
        connection, old = await start(server, client, 1)
        new = client.subscribe("array")
        first = asyncio.create_task(take(new, 2))
        request = await connection.expect("subscribe")
        send(connection, 2, 3)
        connection.send("subscribed", ref=request["ref"])
        send(connection, 1, 2)
        assert await first == [1, 2]
        assert [item async for item in old] == []
        await new.aclose()
        assert await connection.receive() == {"code": "unsubscribe"}


async def test_quitting_ends_the_feed(server: ScriptedServer) -> None:
    async with server.client() as client:
        _, feed = await start(server, client, 1)
        await client.quit()
        assert [item async for item in feed] == []


async def test_events_that_nobody_takes_do_not_hold_up_a_feed(server: ScriptedServer) -> None:
    async with server.client(max_queue=2) as client:
        connection, feed = await start(server, client, 1)
        for number in range(100):
            connection.send("joined", name=f"bob {number}")
        send(connection, *range(2, 50))
        assert await take(feed, 48) == list(range(2, 50))
        await feed.aclose()


async def test_a_feed_is_read_no_faster_than_it_is_taken(server: ScriptedServer) -> None:
    wanted = 20_000
    async with server.client() as client:
        _, feed = await start(server, client, *range(1, wanted + 1))
        for _ in range(100):
            await asyncio.sleep(0)  # the chance to read all of it
        assert await take(feed, wanted - 1) == list(range(2, wanted + 1))
        await feed.aclose()


async def test_a_block_is_reported_at_once_or_when_there_is_a_connection_again(
    server: ScriptedServer,
) -> None:
    async with server.client() as client:
        connection, feed = await start(server, client, 1)
        client.report_block(5, 4.98)
        assert await connection.receive() == {
            "code": "block",
            "count": 5,
            "seconds": 4.98,
            "interrupted": False,
        }
        connection.close()
        assert isinstance(await next_event(client), Reconnecting)
        client.report_block(7, 60.0, interrupted=True)
        connection = await server.accept()
        block = await connection.expect("block")
        assert (block["count"], block["interrupted"]) == (7, True)
        await grant(connection, 1)
        await feed.aclose()


async def test_a_feed_may_be_closed_before_it_began(server: ScriptedServer) -> None:
    async with server.client() as client, aclosing(client.subscribe()):
        await server.accept()
