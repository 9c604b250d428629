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
from tests.chatctl.scripted import (
    PATIENCE,
    Server,
    both,
    next_contents,
    next_event,
    sign_in,
)


async def test_hello_asks_for_version_1_and_brings_its_own_token(server: Server) -> None:
    async with server.client() as client:
        peer = await server.accept()

        call = asyncio.create_task(client.hello("ann", presence=True))
        hello = await peer.welcome(name="Ann")
        await call

        assert (hello["version"], hello["presence"]) == (1, True)
        assert client.token == hello["token"]
        assert client.name == "Ann"


async def test_a_token_and_a_last_id_of_an_earlier_run_are_said(server: Server) -> None:
    async with server.client() as client:
        peer = await server.accept()

        call = asyncio.create_task(client.hello("ann", token="an earlier token", after=17))
        hello = await peer.welcome()
        await call

        assert (hello["token"], hello["after"]) == ("an earlier token", 17)


async def test_a_refused_hello_shows_the_suggestion_and_may_be_followed_by_another(
    server: Server,
) -> None:
    async with server.client() as client:
        peer = await server.accept()

        call = asyncio.create_task(client.hello("ann"))
        await peer.expect("hello")
        peer.say("error", reason="name_taken", detail="ann is taken", suggestion="ann-2")
        with pytest.raises(RefusedError, match="ann is taken") as error:
            await call

        assert (error.value.reason, error.value.suggestion) == ("name_taken", "ann-2")
        await both(client.hello("ann-2"), peer.welcome())
        assert client.name == "ann-2"


async def test_answers_find_their_calls_in_whatever_order_they_come(server: Server) -> None:
    async with server.client() as client:
        peer = await sign_in(server, client)

        sending = asyncio.create_task(client.send("bob", "1"))
        asking = asyncio.create_task(client.who())
        first, second = await peer.expect("outgoing"), await peer.expect("who")
        peer.say("users", users=["ann", "bob"], ref=second["ref"])
        peer.say("ack", id=7, ref=first["ref"])
        receipt = await sending

        assert await asking == ["ann", "bob"]
        assert (receipt.id, receipt.duplicate) == (7, False)
        assert 0 < receipt.round_trip < PATIENCE


async def test_a_refusal_reaches_the_call_it_belongs_to_and_no_other(server: Server) -> None:
    async with server.client() as client:
        peer = await sign_in(server, client)

        zoe, bob = (asyncio.create_task(client.send(name, "hi")) for name in ("zoe", "bob"))
        first, second = await peer.expect("outgoing"), await peer.expect("outgoing")
        peer.say("error", reason="no_such_user", detail="there is no zoe", ref=first["ref"])
        peer.say("ack", id=1, ref=second["ref"])

        with pytest.raises(RefusedError, match="there is no zoe") as error:
            await zoe
        assert error.value.exit_code == Exit.REFUSED
        assert (await bob).id == 1


async def test_no_two_messages_ever_carry_the_same_ref(server: Server) -> None:
    refs = set()
    for _ in range(2):
        async with server.client(answer_timeout=None) as client:
            peer = await sign_in(server, client)
            calls = [asyncio.create_task(client.broadcast("hi")) for _ in range(3)]
            for number in range(3):
                message = await peer.expect("outgoing_broadcast")
                refs.add(message["ref"])
                peer.say("ack", id=number, ref=message["ref"])
            await asyncio.gather(*calls)

    assert len(refs) == 6


async def test_ping_gives_the_round_trip_and_all_four_timestamps(server: Server) -> None:
    async with server.client() as client:
        peer = await server.accept()

        call = asyncio.create_task(client.ping())
        ping = await peer.expect("ping")
        now = "2026-11-21T07:11:00.000000Z"
        peer.say("pong", received=now, sent="2026-11-21T07:11:00.000250Z", ref=ping["ref"])
        probe = await call

        assert probe.server_sent - probe.server_received == 250_000
        assert probe.sent < probe.received
        assert 0 < probe.round_trip < PATIENCE


async def test_a_time_that_is_none_is_a_protocol_error(server: Server) -> None:
    async with server.client() as client:
        peer = await server.accept()

        call = asyncio.create_task(client.ping())
        peer.say("pong", received="noon", sent="noon", ref=(await peer.expect("ping"))["ref"])

        with pytest.raises(ProtocolError, match="'noon' is not a UTC time"):
            await call


@pytest.mark.parametrize("content", ["Hello!", None, [1, {"a": 2.5}], ""])
async def test_echo_returns_any_json_value(server: Server, content: object) -> None:
    async with server.client() as client:
        peer = await server.accept()

        call = asyncio.create_task(client.echo(content))
        peer.say(**await peer.expect("echo"))

        assert await call == content


async def test_history_is_asked_for_by_page(server: Server) -> None:
    async with server.client() as client:
        peer = await sign_in(server, client)

        call = asyncio.create_task(client.history(before=10, limit=2))
        asked = await peer.expect("history")
        page = [{"code": "incoming", "from": "bob", "content": "hi", "to": "ann", "id": 9}]
        peer.say("history", messages=page, more=True, ref=asked["ref"])
        answer = await call

        assert (asked["before"], asked["limit"]) == (10, 2)
        assert answer.more
        assert [message.content for message in answer.messages] == ["hi"]


async def test_the_history_of_a_name_is_asked_for_with_its_token_and_without_a_hello(
    server: Server,
) -> None:
    async with server.client() as client:
        peer = await server.accept()

        call = asyncio.create_task(client.history_of("ann", "t" * 24, before=10))
        asked = await peer.expect("history")
        peer.say("history", messages=[], more=False, ref=asked["ref"])

        assert not (await call).more
        assert (asked["name"], asked["token"], asked["before"]) == ("ann", "t" * 24, 10)


async def test_no_more_messages_are_unacknowledged_than_the_server_allows(server: Server) -> None:
    async with server.client() as client:
        peer = await sign_in(server, client, max_inflight=2)

        calls = [asyncio.create_task(client.broadcast(text)) for text in "abc"]
        a, b = await peer.expect("outgoing_broadcast"), await peer.expect("outgoing_broadcast")
        probing = asyncio.create_task(client.ping())
        probe = await peer.expect("ping")  # c would stand before it
        peer.say("ack", id=1, ref=a["ref"])
        c = await peer.expect("outgoing_broadcast")
        peer.say("ack", id=2, ref=b["ref"])
        peer.say("ack", id=3, ref=c["ref"])
        now = "2026-11-21T07:11:00.000000Z"
        peer.say("pong", received=now, sent=now, ref=probe["ref"])

        assert [receipt.id for receipt in await asyncio.gather(*calls)] == [1, 2, 3]
        await probing


async def test_a_message_that_is_too_long_for_the_server_is_refused_before_it_is_sent(
    server: Server,
) -> None:
    async with server.client() as client:
        await sign_in(server, client, max_line=1024)

        with pytest.raises(RefusedError, match="1024 are allowed") as error:
            await client.broadcast("x" * 1024)

        assert error.value.reason == "line_too_long"


async def test_what_a_newer_server_says_is_ignored(server: Server) -> None:
    async with server.client() as client:
        peer = await sign_in(server, client)

        peer.say("weather", temperature=21)
        peer.say("joined", name="bob", mood="fine")

        assert await next_event(client) == Joined(name="bob")


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 400 Bad\r\n\r\n"])
async def test_a_server_of_another_kind_is_told_apart(server: Server, greeting: bytes) -> None:
    async with server.client() as client:
        peer = await server.accept()
        peer.write(greeting)

        with pytest.raises(ProtocolError, match="no chatd") as error:
            await client.ping()

        assert error.value.exit_code == Exit.PROTOCOL


async def test_an_answer_of_the_wrong_kind_is_a_protocol_error(server: Server) -> None:
    async with server.client() as client:
        peer = await sign_in(server, client)

        call = asyncio.create_task(client.who())
        peer.say("ack", id=1, ref=(await peer.expect("who"))["ref"])

        with pytest.raises(ProtocolError):
            await call


async def test_an_unreadable_answer_fails_its_call_alone(server: Server) -> None:
    async with server.client() as client:
        peer = await sign_in(server, client)

        call = asyncio.create_task(client.who())
        peer.say("users", users="nobody", ref=(await peer.expect("who"))["ref"])
        with pytest.raises(ProtocolError, match="in users"):
            await call

        peer.deliver(1)
        assert await next_contents(client, 1) == ["m1"]


async def test_a_call_without_an_answer_ends_in_time(server: Server) -> None:
    async with server.client(answer_timeout=0.01) as client:
        with pytest.raises(AnswerTimeoutError, match=r"within 0\.01 s") as error:
            await client.ping()

        assert error.value.exit_code == Exit.TIMEOUT


async def test_nobody_there_is_an_error_that_names_the_address(server: Server) -> None:
    server.close()

    where = rf"127.0.0.1:{server.port}: connection refused"
    with pytest.raises(CannotConnectError, match=where) as error:
        async with server.client():
            raise AssertionError("it connected")

    assert error.value.exit_code == Exit.CANNOT_CONNECT


async def test_events_come_in_order(server: Server) -> None:
    async with server.client() as client:
        peer = await sign_in(server, client)

        peer.say("joined", name="bob")
        peer.deliver(1, 2)
        peer.say("error", reason="rate_limited", detail="slow down")
        peer.say("left", name="bob")

        kinds = [type(await next_event(client)).__name__ for _ in range(5)]
        assert kinds == ["Joined", "IncomingBroadcast", "IncomingBroadcast", "Error", "Left"]


async def test_a_client_is_made_outside_a_loop() -> None:
    await asyncio.to_thread(Client, "127.0.0.1", 1)
