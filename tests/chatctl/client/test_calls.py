"""Calls and their answers, over a real socket to a scripted server."""

import asyncio

import pytest

from chatctl.client import (
    AnswerTimeoutError,
    CannotConnectError,
    Client,
    Joined,
    ProtocolError,
    RefusedError,
)
from chatctl.errors import Exit
from tests.support.scripted_server import (
    TIMEOUT,
    ScriptedServer,
    log_in,
    next_contents,
    next_event,
    run_both,
)


async def test_hello_asks_for_version_1_and_brings_its_own_token(server: ScriptedServer) -> None:
    async with server.client() as client:
        connection = await server.accept()

        call = asyncio.create_task(client.hello("ann", presence=True))
        hello = await connection.welcome(name="Ann")
        await call

        assert (hello["version"], hello["presence"]) == (1, True)
        assert client.token == hello["token"]
        assert client.name == "Ann"


async def test_a_token_and_a_last_id_of_an_earlier_run_are_said(server: ScriptedServer) -> None:
    async with server.client() as client:
        connection = await server.accept()

        call = asyncio.create_task(client.hello("ann", token="an earlier token", after=17))
        hello = await connection.welcome()
        await call

        assert (hello["token"], hello["after"]) == ("an earlier token", 17)


async def test_a_refused_hello_shows_the_suggestion_and_may_be_followed_by_another(
    server: ScriptedServer,
) -> None:
    async with server.client() as client:
        connection = await server.accept()

        call = asyncio.create_task(client.hello("ann"))
        await connection.expect("hello")
        connection.send("error", reason="name_taken", detail="ann is taken", suggestion="ann-2")
        with pytest.raises(RefusedError, match="ann is taken") as error:
            await call

        assert (error.value.reason, error.value.suggestion) == ("name_taken", "ann-2")
        await run_both(client.hello("ann-2"), connection.welcome())
        assert client.name == "ann-2"


async def test_answers_find_their_calls_in_whatever_order_they_come(server: ScriptedServer) -> None:
    async with server.client() as client:
        connection = await log_in(server, client)

        sending = asyncio.create_task(client.send("bob", "1"))
        call = asyncio.create_task(client.who())
        first, second = await connection.expect("outgoing"), await connection.expect("who")
        connection.send("users", users=["ann", "bob"], ref=second["ref"])
        connection.send("ack", id=7, ref=first["ref"])
        receipt = await sending

        assert await call == ["ann", "bob"]
        assert (receipt.id, receipt.duplicate) == (7, False)
        assert 0 < receipt.round_trip < TIMEOUT


async def test_a_refusal_reaches_the_call_it_belongs_to_and_no_other(
    server: ScriptedServer,
) -> None:
    async with server.client() as client:
        connection = await log_in(server, client)

        zoe, bob = (asyncio.create_task(client.send(name, "hi")) for name in ("zoe", "bob"))
        first, second = await connection.expect("outgoing"), await connection.expect("outgoing")
        connection.send("error", reason="no_such_user", detail="there is no zoe", ref=first["ref"])
        connection.send("ack", id=1, ref=second["ref"])

        with pytest.raises(RefusedError, match="there is no zoe") as error:
            await zoe
        assert error.value.exit_code == Exit.REFUSED
        assert (await bob).id == 1


async def test_no_two_messages_ever_carry_the_same_ref(server: ScriptedServer) -> None:
    refs = set()
    for _ in range(2):
        async with server.client(answer_timeout=None) as client:
            connection = await log_in(server, client)
            calls = [asyncio.create_task(client.broadcast("hi")) for _ in range(3)]
            for number in range(3):
                message = await connection.expect("outgoing_broadcast")
                refs.add(message["ref"])
                connection.send("ack", id=number, ref=message["ref"])
            await asyncio.gather(*calls)

    assert len(refs) == 6


async def test_ping_gives_the_round_trip_and_all_four_timestamps(server: ScriptedServer) -> None:
    async with server.client() as client:
        connection = await server.accept()

        call = asyncio.create_task(client.ping())
        ping = await connection.expect("ping")
        now = "2026-11-21T07:11:00.000000Z"
        connection.send("pong", received=now, sent="2026-11-21T07:11:00.000250Z", ref=ping["ref"])
        probe = await call

        assert probe.server_sent - probe.server_received == 250_000
        assert probe.sent < probe.received
        assert 0 < probe.round_trip < TIMEOUT


async def test_a_time_that_is_none_is_a_protocol_error(server: ScriptedServer) -> None:
    async with server.client() as client:
        connection = await server.accept()

        call = asyncio.create_task(client.ping())
        connection.send(
            "pong", received="noon", sent="noon", ref=(await connection.expect("ping"))["ref"]
        )

        with pytest.raises(ProtocolError, match="'noon' is not a UTC time"):
            await call


@pytest.mark.parametrize("content", ["Hello!", None, [1, {"a": 2.5}], ""])
async def test_echo_returns_any_json_value(server: ScriptedServer, content: object) -> None:
    async with server.client() as client:
        connection = await server.accept()

        call = asyncio.create_task(client.echo(content))
        connection.send(**await connection.expect("echo"))

        assert await call == content


async def test_history_is_asked_for_by_page(server: ScriptedServer) -> None:
    async with server.client() as client:
        connection = await log_in(server, client)

        call = asyncio.create_task(client.history(before=10, limit=2))
        request = await connection.expect("history")
        page = [{"code": "incoming", "from": "bob", "content": "hi", "to": "ann", "id": 9}]
        connection.send("history", messages=page, more=True, ref=request["ref"])
        answer = await call

        assert (request["before"], request["limit"]) == (10, 2)
        assert answer.more
        assert [message.content for message in answer.messages] == ["hi"]


async def test_the_history_of_a_name_is_asked_for_with_its_token_and_without_a_hello(
    server: ScriptedServer,
) -> None:
    async with server.client() as client:
        connection = await server.accept()

        call = asyncio.create_task(client.history_of("ann", "t" * 24, before=10))
        request = await connection.expect("history")
        connection.send("history", messages=[], more=False, ref=request["ref"])

        assert not (await call).more
        assert (request["name"], request["token"], request["before"]) == ("ann", "t" * 24, 10)


async def test_no_more_messages_are_unacknowledged_than_the_server_allows(
    server: ScriptedServer,
) -> None:
    async with server.client() as client:
        connection = await log_in(server, client, max_inflight=2)

        calls = [asyncio.create_task(client.broadcast(text)) for text in "abc"]
        a, b = (
            await connection.expect("outgoing_broadcast"),
            await connection.expect("outgoing_broadcast"),
        )
        probing = asyncio.create_task(client.ping())
        probe = await connection.expect("ping")  # c would stand before it
        connection.send("ack", id=1, ref=a["ref"])
        c = await connection.expect("outgoing_broadcast")
        connection.send("ack", id=2, ref=b["ref"])
        connection.send("ack", id=3, ref=c["ref"])
        now = "2026-11-21T07:11:00.000000Z"
        connection.send("pong", received=now, sent=now, ref=probe["ref"])

        assert [receipt.id for receipt in await asyncio.gather(*calls)] == [1, 2, 3]
        await probing


async def test_a_message_that_is_too_long_for_the_server_is_refused_before_it_is_sent(
    server: ScriptedServer,
) -> None:
    async with server.client() as client:
        await log_in(server, client, max_line=1024)

        with pytest.raises(RefusedError, match="1024 are allowed") as error:
            await client.broadcast("x" * 1024)

        assert error.value.reason == "line_too_long"


async def test_what_a_newer_server_says_is_ignored(server: ScriptedServer) -> None:
    async with server.client() as client:
        connection = await log_in(server, client)

        connection.send("weather", temperature=21)
        connection.send("joined", name="bob", mood="fine")

        assert await next_event(client) == Joined(name="bob")


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 400 Bad\r\n\r\n"])
async def test_a_server_of_another_kind_is_told_apart(
    server: ScriptedServer, greeting: bytes
) -> None:
    async with server.client() as client:
        connection = await server.accept()
        connection.write(greeting)

        with pytest.raises(ProtocolError, match="does not speak the chatd protocol") as error:
            await client.ping()

        assert error.value.exit_code == Exit.PROTOCOL


async def test_an_answer_of_the_wrong_kind_is_a_protocol_error(server: ScriptedServer) -> None:
    async with server.client() as client:
        connection = await log_in(server, client)

        call = asyncio.create_task(client.who())
        connection.send("ack", id=1, ref=(await connection.expect("who"))["ref"])

        with pytest.raises(ProtocolError):
            await call


async def test_an_unreadable_answer_fails_its_call_alone(server: ScriptedServer) -> None:
    async with server.client() as client:
        connection = await log_in(server, client)

        call = asyncio.create_task(client.who())
        connection.send("users", users="nobody", ref=(await connection.expect("who"))["ref"])
        with pytest.raises(ProtocolError, match="in users"):
            await call

        connection.deliver(1)
        assert await next_contents(client, 1) == ["m1"]


async def test_a_call_without_an_answer_ends_in_time(server: ScriptedServer) -> None:
    async with server.client(answer_timeout=0.01) as client:
        with pytest.raises(AnswerTimeoutError, match=r"within 0\.01 s") as error:
            await client.ping()

        assert error.value.exit_code == Exit.TIMEOUT


async def test_nobody_there_is_an_error_that_names_the_address(server: ScriptedServer) -> None:
    server.close()

    where = rf"127.0.0.1:{server.port}: connection refused"
    with pytest.raises(CannotConnectError, match=where) as error:
        async with server.client():
            raise AssertionError("it connected")

    assert error.value.exit_code == Exit.CANNOT_CONNECT


async def test_events_come_in_order(server: ScriptedServer) -> None:
    async with server.client() as client:
        connection = await log_in(server, client)

        connection.send("joined", name="bob")
        connection.deliver(1, 2)
        connection.send("error", reason="rate_limited", detail="slow down")
        connection.send("left", name="bob")

        kinds = [type(await next_event(client)).__name__ for _ in range(5)]
        assert kinds == ["Joined", "IncomingBroadcast", "IncomingBroadcast", "Error", "Left"]


async def test_a_client_is_made_outside_a_loop() -> None:
    await asyncio.to_thread(Client, "127.0.0.1", 1)
