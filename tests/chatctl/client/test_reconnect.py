"""What a client does when its connection is lost, over a real socket to a scripted server.

Exponential backoff with full jitter.
"""

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatctl.client import (
    CannotConnectError,
    Gap,
    LogStartedOver,
    Reconnected,
    Reconnecting,
    RefusedError,
    Resumed,
)
from chatctl.client.reconnect import Backoff
from tests.support.scripted_server import (
    ScriptedServer,
    log_in,
    next_contents,
    next_event,
    run_both,
)


async def test_it_comes_back_with_its_token_from_the_last_id_seen(server: ScriptedServer) -> None:
    async with server.client() as client:
        connection = await log_in(server, client, last=3)
        connection.deliver(4, 5)
        assert await next_contents(client, 2) == ["m4", "m5"]

        connection.close()
        connection = await server.accept()
        hello = await connection.welcome(last=7)
        connection.deliver(6, 7)
        connection.send("resumed", count=2, last=7, gap=False)

        assert (hello["name"], hello["token"], hello["after"]) == ("ann", client.token, 5)
        assert isinstance(await next_event(client), Reconnecting)
        assert isinstance(await next_event(client), Reconnected)
        assert await next_contents(client, 2) == ["m6", "m7"]
        assert await next_event(client) == Resumed(2, 7, gap=False)
        assert client.last_id == 7


async def test_without_a_message_yet_it_goes_on_from_where_the_log_was_at_the_welcome(
    server: ScriptedServer,
) -> None:
    async with server.client() as client:
        connection = await log_in(server, client, last=41)

        connection.close()
        hello = await (await server.accept()).welcome(last=41)

        assert hello["after"] == 41


async def test_what_was_not_acknowledged_is_sent_again_in_order_under_the_same_ref(
    server: ScriptedServer,
) -> None:
    async with server.client() as client:
        connection = await log_in(server, client)
        calls = [asyncio.create_task(client.send("bob", text)) for text in "abc"]
        before = [await connection.expect("outgoing") for _ in calls]
        connection.send("ack", id=1, ref=before[0]["ref"])
        await calls[0]

        connection.close()
        connection = await server.accept()
        await connection.welcome()
        after = [await connection.expect("outgoing") for _ in before[1:]]
        connection.send("ack", id=2, ref=after[0]["ref"], duplicate=True)
        connection.send("ack", id=3, ref=after[1]["ref"])

        assert after == before[1:]
        assert [(await call).duplicate for call in calls] == [False, True, False]


async def test_a_call_made_while_there_is_no_connection_is_served_when_there_is(
    server: ScriptedServer,
) -> None:
    async with server.client() as client:
        (await log_in(server, client)).close()
        assert isinstance(await next_event(client), Reconnecting)

        call = asyncio.create_task(client.who())
        connection = await server.accept()
        await connection.welcome()
        connection.send("users", users=["ann"], ref=(await connection.expect("who"))["ref"])

        assert await call == ["ann"]


async def test_a_cancelled_call_is_not_sent_again(server: ScriptedServer) -> None:
    async with server.client() as client:
        connection = await log_in(server, client)
        cancelled, kept = (asyncio.create_task(client.broadcast(text)) for text in "ab")
        await connection.expect("outgoing_broadcast")
        await connection.expect("outgoing_broadcast")
        cancelled.cancel()
        await asyncio.wait([cancelled])

        connection.close()
        connection = await server.accept()
        await connection.welcome()
        again = await connection.expect("outgoing_broadcast")
        connection.send("ack", id=1, ref=again["ref"])

        assert again["content"] == "b"
        assert (await kept).id == 1


async def test_a_message_that_comes_twice_is_shown_once(server: ScriptedServer) -> None:
    async with server.client() as client:
        connection = await log_in(server, client)

        connection.deliver(1, 2, 2, 1, 3)

        assert await next_contents(client, 3) == ["m1", "m2", "m3"]


async def test_a_gap_in_the_replay_is_reported(server: ScriptedServer) -> None:
    async with server.client() as client:
        connection = await log_in(server, client, last=3)

        connection.close()
        connection = await server.accept()
        await connection.welcome(last=90)
        connection.send("gap", first=90)
        connection.deliver(90)
        connection.send("resumed", count=1, last=90, gap=True, first=90)

        assert isinstance(await next_event(client), Reconnecting)
        assert isinstance(await next_event(client), Reconnected)
        assert await next_event(client) == Gap(90)
        assert await next_contents(client, 1) == ["m90"]
        assert await next_event(client) == Resumed(1, 90, gap=True, first=90)


async def test_a_log_that_started_over_is_read_from_its_beginning_after_one_hello(
    server: ScriptedServer,
) -> None:
    async with server.client() as client:
        connection = await log_in(server, client, log="old", last=50)
        connection.close()

        hello = await (connection := await server.accept()).welcome(log="new", last=2)
        connection.deliver(1, 2)

        assert (hello["after"], hello["log"]) == (50, "old")
        assert isinstance(await next_event(client), Reconnecting)
        assert isinstance(await next_event(client), Reconnected)
        assert await next_event(client) == LogStartedOver("new")
        assert await next_contents(client, 2) == ["m1", "m2"]
        assert server.accepted == 2


async def test_it_never_comes_back_after_it_was_replaced(server: ScriptedServer) -> None:
    async with server.client() as client:
        connection = await log_in(server, client)
        call = asyncio.create_task(client.who())
        await connection.expect("who")

        connection.deliver(1)
        connection.send("error", reason="replaced", detail="you signed in elsewhere", name="ann")

        assert await next_contents(client, 1) == ["m1"]
        with pytest.raises(RefusedError, match="elsewhere"):
            await next_event(client)
        with pytest.raises(RefusedError, match="elsewhere"):
            await call
        with pytest.raises(RefusedError, match="elsewhere"):
            await client.send("bob", "hi")
        assert server.accepted == 1


@pytest.mark.parametrize("reason", ["unauthorized", "bad_name", "name_taken"])
async def test_it_never_comes_back_when_its_hello_is_refused(
    server: ScriptedServer, reason: str
) -> None:
    async with server.client() as client:
        (await log_in(server, client)).close()
        connection = await server.accept()
        await connection.expect("hello")
        connection.send("error", reason=reason, detail="no", name="ann")

        assert isinstance(await next_event(client), Reconnecting)
        with pytest.raises(RefusedError) as error:
            await next_event(client)
        assert error.value.reason == reason
        assert server.accepted == 2


@pytest.mark.parametrize("reason", ["server_full", "shutting_down", "storage_failed"])
async def test_a_server_that_cannot_take_it_yet_is_tried_again(
    server: ScriptedServer, reason: str
) -> None:
    async with server.client() as client:
        (await log_in(server, client)).close()
        connection = await server.accept()
        await connection.expect("hello")
        connection.send("error", reason=reason, detail="not now")
        connection = await server.accept()
        await connection.welcome()

        assert isinstance(await next_event(client), Reconnecting)
        again = await next_event(client)
        assert isinstance(again, Reconnecting)
        assert (again.reason, again.attempt) == ("not now", 2)
        assert isinstance(await next_event(client), Reconnected)

        connection.close()
        await (await server.accept()).welcome()
        afresh = await next_event(client)
        assert isinstance(afresh, Reconnecting)
        assert afresh.attempt == 1


async def test_why_the_server_closed_the_connection_is_reported(server: ScriptedServer) -> None:
    async with server.client() as client:
        connection = await log_in(server, client)
        connection.send("error", reason="shutting_down", detail="the server is stopping")
        connection.close()

        event = await next_event(client)
        assert isinstance(event, Reconnecting)
        assert event.reason == "the server is stopping"


async def test_a_hello_whose_welcome_got_lost_is_repeated_with_the_same_token(
    server: ScriptedServer,
) -> None:
    async with server.client() as client:
        connection = await server.accept()
        call = asyncio.create_task(client.hello("ann"))
        first = await connection.expect("hello")

        connection.close()
        second = await (await server.accept()).welcome()
        await call

        assert second == first


async def test_a_client_without_a_name_comes_back_without_a_hello(server: ScriptedServer) -> None:
    async with server.client() as client:
        connection = await server.accept()
        call = asyncio.create_task(client.echo("hi"))
        await connection.expect("echo")

        connection.close()
        connection = await server.accept()
        connection.send(**await connection.expect("echo"))

        assert await call == "hi"


async def test_it_waits_for_a_server_that_starts_again_on_the_same_port(
    server: ScriptedServer,
) -> None:
    async with server.client(backoff=Backoff(base=0.01, cap=0.1)) as client:
        await log_in(server, client)
        server.close()
        while "refused" not in (await next_event(client)).reason:
            pass

        await server.listen()
        await (await server.accept()).welcome()

        while not isinstance(event := await next_event(client), Reconnected):
            assert isinstance(event, Reconnecting)


async def test_without_reconnecting_a_lost_connection_is_an_error(server: ScriptedServer) -> None:
    async with server.client(reconnect_for=0.0) as client:
        connection = await log_in(server, client)
        call = asyncio.create_task(client.who())
        await connection.expect("who")

        connection.close()

        with pytest.raises(CannotConnectError, match="the connection was lost"):
            await call
        with pytest.raises(CannotConnectError, match="the connection was lost"):
            await next_event(client)


async def test_it_comes_back_under_the_name_as_the_server_writes_it(server: ScriptedServer) -> None:
    async with server.client() as client:
        connection = await server.accept()
        await run_both(client.hello("e\u0301ve"), connection.welcome(name="éve"))

        connection.close()
        hello = await (await server.accept()).welcome()

        assert hello["name"] == "éve"


class HighestRandom(random.Random):
    """Always draws the upper end."""

    def uniform(self, a: float, b: float) -> float:
        return b


class LowestRandom(random.Random):
    """Always draws the lower end."""

    def uniform(self, a: float, b: float) -> float:
        return a


def test_the_longest_wait_doubles_up_to_the_cap() -> None:
    backoff = Backoff(base=0.25, cap=3.0, rng=HighestRandom())

    assert [backoff.next_delay() for _ in range(6)] == [0.25, 0.5, 1.0, 2.0, 3.0, 3.0]


def test_the_jitter_is_full_so_that_any_wait_may_be_none_at_all() -> None:
    backoff = Backoff(rng=LowestRandom())

    assert [backoff.next_delay() for _ in range(6)] == [0.0] * 6


def test_it_starts_over_when_reset() -> None:
    backoff = Backoff(base=1.0, cap=60.0, rng=HighestRandom())
    waits = [backoff.next_delay(), backoff.next_delay()]

    backoff.reset()

    assert [*waits, backoff.next_delay()] == [1.0, 2.0, 1.0]
    assert backoff.attempts == 1


@pytest.mark.parametrize("attempts", [2_000])
def test_it_can_go_on_for_ever(attempts: int) -> None:
    backoff = Backoff(rng=HighestRandom())

    assert max(backoff.next_delay() for _ in range(attempts)) == 15.0


@given(st.integers(), st.integers(0, 80))
def test_no_wait_leaves_its_bounds(seed: int, attempts: int) -> None:
    backoff = Backoff(base=0.5, cap=10.0, rng=random.Random(seed))

    for attempt in range(attempts):
        assert 0.0 <= backoff.next_delay() <= min(10.0, 0.5 * 2.0**attempt)
