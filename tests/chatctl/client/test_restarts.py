"""Where one client under a name stopped reading, the next one goes on; a scripted server.

Messages that one client leaves to the next under the same name, to a scripted server.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from chatctl.client import (
    AnswerTimeoutError,
    Client,
    Delivered,
    LogStartedOver,
    NameInUseError,
    RefusedError,
    Resumed,
    Undelivered,
)
from common.messages.base import Error
from common.messages.chat import Outgoing, OutgoingBroadcast
from tests.support.scripted_server import (
    ProcessKilledError,
    ScriptedServer,
    ServerConnection,
    leave_one_unacknowledged,
    next_contents,
    next_event,
    run_both,
    run_client,
)


async def test_it_goes_on_after_the_last_event_that_the_program_was_done_with(
    server: ScriptedServer, state: Path
) -> None:
    async def killed_over_the_third(
        client: Client, connection: ServerConnection, hello: dict[str, Any]
    ) -> None:
        assert "after" not in hello
        connection.deliver(8, 9, 10)
        assert await next_contents(client, 3) == ["m8", "m9", "m10"]
        raise ProcessKilledError

    async def again(client: Client, connection: ServerConnection, hello: dict[str, Any]) -> None:
        assert (hello["after"], hello["log"]) == (9, "log-1")
        connection.deliver(10, 11)
        assert await next_contents(client, 2) == ["m10", "m11"]

    async def after_a_good_end(
        _client: Client, _connection: ServerConnection, hello: dict[str, Any]
    ) -> None:
        assert hello["after"] == 11

    await run_client(server, state, killed_over_the_third, welcome={"last": 7})
    await run_client(server, state, again, welcome={"last": 11})
    await run_client(server, state, after_a_good_end, welcome={"last": 11})


async def test_what_was_said_before_the_first_event_was_taken_is_not_missed(
    server: ScriptedServer, state: Path
) -> None:
    async def nothing(_client: Client, _connection: ServerConnection, _: dict[str, Any]) -> None:
        raise ProcessKilledError

    async def again(_client: Client, _connection: ServerConnection, hello: dict[str, Any]) -> None:
        assert hello["after"] == 7

    await run_client(server, state, nothing, welcome={"last": 7})
    await run_client(server, state, again, welcome={"last": 20})


async def test_a_program_that_shows_events_later_says_itself_what_it_is_done_with(
    server: ScriptedServer, state: Path
) -> None:
    async def killed(client: Client, connection: ServerConnection, _: dict[str, Any]) -> None:
        connection.deliver(1, 2, 3)
        events = client.events()
        taken = [await anext(events) for _ in range(3)]
        client.seen(*taken[:2])
        raise ProcessKilledError

    async def again(_client: Client, _connection: ServerConnection, hello: dict[str, Any]) -> None:
        assert hello["after"] == 2

    await run_client(server, state, killed)
    await run_client(server, state, again)


async def test_one_that_does_not_read_moves_nothing(server: ScriptedServer, state: Path) -> None:
    async def reads(client: Client, connection: ServerConnection, _: dict[str, Any]) -> None:
        connection.deliver(1)
        await next_contents(client, 1)

    async def only_sends(
        client: Client, connection: ServerConnection, hello: dict[str, Any]
    ) -> None:
        assert "after" not in hello
        connection.deliver(2)
        await next_contents(client, 1)

    async def again(_client: Client, _connection: ServerConnection, hello: dict[str, Any]) -> None:
        assert hello["after"] == 1

    await run_client(server, state, reads)
    await run_client(server, state, only_sends, hello={"resume": False})
    await run_client(server, state, again)


async def test_a_program_that_knows_better_says_after_what_to_go_on(
    server: ScriptedServer, state: Path
) -> None:
    async def reads(client: Client, connection: ServerConnection, _: dict[str, Any]) -> None:
        connection.deliver(1, 2, 3)
        await next_contents(client, 3)

    async def knows(_client: Client, _connection: ServerConnection, hello: dict[str, Any]) -> None:
        assert (hello["after"], hello["log"]) == (2, "log-1")

    await run_client(server, state, reads)
    await run_client(server, state, knows, hello={"after": 2})


async def test_what_was_not_acknowledged_is_sent_again_by_the_next_client_before_all_else(
    server: ScriptedServer, state: Path
) -> None:
    async def again(client: Client, connection: ServerConnection, _: dict[str, Any]) -> None:
        assert client.unacknowledged == 1
        call = asyncio.create_task(client.broadcast("three", ref="r3"))
        assert await connection.receive() == {
            "code": "outgoing_broadcast",
            "content": "two",
            "ref": "r2",
        }
        assert (await connection.receive())["ref"] == "r3"
        connection.send("ack", id=2, ref="r2", duplicate=True)
        connection.send("ack", id=3, ref="r3")

        assert (await call).id == 3
        two = OutgoingBroadcast("two", "r2")
        assert await next_event(client) == Delivered(two, 2, duplicate=True)
        assert client.unacknowledged == 0

    async def once_more(client: Client, connection: ServerConnection, _: dict[str, Any]) -> None:
        await client.quit()
        assert await connection.receive() == {"code": "quit"}

    await run_client(server, state, leave_one_unacknowledged)
    await run_client(server, state, again)
    await run_client(server, state, once_more)


async def test_without_a_state_nothing_is_sent_again(server: ScriptedServer) -> None:
    async with server.client() as client:
        connection = await server.accept()
        await run_both(client.hello("ann"), connection.welcome())
        call = asyncio.create_task(client.broadcast("two"))
        await connection.expect("outgoing_broadcast")
        call.cancel()
        await asyncio.wait([call])
        assert client.unacknowledged == 0

        connection.close()
        connection = await server.accept()
        await connection.welcome()
        listing = asyncio.create_task(client.who())
        request = await connection.expect("who")
        connection.send("users", users=[], ref=request["ref"])
        await listing


async def test_a_log_that_started_over_is_reported_and_what_waits_is_sent_to_it(
    server: ScriptedServer, state: Path
) -> None:
    async def again(client: Client, connection: ServerConnection, hello: dict[str, Any]) -> None:
        assert (hello["after"], hello["log"]) == (40, "log-1")
        assert (await connection.expect("outgoing_broadcast"))["ref"] == "r2"
        connection.deliver(1, 2)
        connection.send("resumed", count=2, last=2, gap=True, first=1)
        connection.send("ack", id=3, ref="r2")

        assert await next_event(client) == LogStartedOver("log-2")
        assert await next_contents(client, 2) == ["m1", "m2"]
        assert await next_event(client) == Resumed(2, 2, gap=True, first=1)
        assert await next_event(client) == Delivered(
            OutgoingBroadcast("two", "r2"), 3, duplicate=False
        )
        raise ProcessKilledError

    async def at_last(
        _client: Client, _connection: ServerConnection, hello: dict[str, Any]
    ) -> None:
        assert (hello["after"], hello["log"]) == (2, "log-2")

    await run_client(server, state, leave_one_unacknowledged, welcome={"last": 40})
    await run_client(server, state, again, welcome={"log": "log-2", "last": 2})
    await run_client(server, state, at_last, welcome={"log": "log-2", "last": 2})


async def test_what_is_refused_for_good_is_reported_and_forgotten(
    server: ScriptedServer, state: Path
) -> None:
    async def refused(client: Client, connection: ServerConnection, _: dict[str, Any]) -> None:
        await connection.expect("outgoing_broadcast")
        connection.send("error", reason="bad_field", detail="no", ref="r2")
        assert await next_event(client) == Undelivered(
            OutgoingBroadcast("two", "r2"), Error("bad_field", "no", ref="r2"), is_kept=False
        )
        assert client.unacknowledged == 0

    await run_client(server, state, leave_one_unacknowledged)
    await run_client(server, state, refused)


async def test_what_is_refused_for_now_is_reported_and_kept(
    server: ScriptedServer, state: Path
) -> None:
    async def refused(client: Client, connection: ServerConnection, _: dict[str, Any]) -> None:
        await connection.expect("outgoing_broadcast")
        connection.send("error", reason="storage_failed", detail="full", ref="r2")
        event = await next_event(client)
        assert isinstance(event, Undelivered)
        assert event.is_kept
        assert client.unacknowledged == 1

    async def again(client: Client, connection: ServerConnection, _: dict[str, Any]) -> None:
        await connection.expect("outgoing_broadcast")
        connection.send("ack", id=1, ref="r2")
        assert isinstance(await next_event(client), Delivered)

    await run_client(server, state, leave_one_unacknowledged)
    await run_client(server, state, refused)
    await run_client(server, state, again)


async def test_a_refusal_that_a_call_waits_for_is_raised_and_forgotten(
    server: ScriptedServer, state: Path
) -> None:
    async def refused(client: Client, connection: ServerConnection, _: dict[str, Any]) -> None:
        call = asyncio.create_task(client.send("zoe", "hi"))
        ref = (await connection.expect("outgoing"))["ref"]
        connection.send("error", reason="no_such_user", detail="there is no zoe", ref=ref)
        with pytest.raises(RefusedError, match="there is no zoe"):
            await call
        assert client.unacknowledged == 0

    await run_client(server, state, refused)


async def test_a_message_that_became_too_long_for_the_server_is_reported_and_forgotten(
    server: ScriptedServer, state: Path
) -> None:
    async def refused(client: Client, _connection: ServerConnection, _: dict[str, Any]) -> None:
        event = await next_event(client)
        assert isinstance(event, Undelivered)
        assert event.error.reason == "line_too_long"
        assert client.unacknowledged == 0

    await run_client(server, state, leave_one_unacknowledged)
    await run_client(server, state, refused, welcome={"max_line": 20})


async def test_a_refusal_that_there_is_no_room_to_report_is_kept(
    server: ScriptedServer, state: Path
) -> None:
    async def full(client: Client, connection: ServerConnection, _: dict[str, Any]) -> None:
        await connection.expect("outgoing_broadcast")
        call = asyncio.create_task(client.who())
        request = await connection.expect("who")
        connection.deliver(1, 2)
        connection.send("error", reason="bad_field", detail="no", ref="r2")
        connection.send("users", users=[], ref=request["ref"])
        await call
        assert client.unacknowledged == 1

    await run_client(server, state, leave_one_unacknowledged)
    await run_client(server, state, full, max_queue=1)


async def test_a_message_whose_call_gave_up_is_sent_on_and_its_end_is_reported(
    server: ScriptedServer, state: Path
) -> None:
    async def patient(client: Client, connection: ServerConnection, _: dict[str, Any]) -> None:
        with pytest.raises(AnswerTimeoutError):
            await client.send("bob", "hi", ref="r1")
        assert client.unacknowledged == 1
        first = await connection.expect("outgoing")

        connection.close()
        connection = await server.accept()
        await connection.welcome()
        assert await connection.receive() == first
        connection.send("ack", id=1, ref="r1")
        events = [await next_event(client) for _ in range(3)]
        assert events[-1] == Delivered(Outgoing("bob", "hi", "r1"), 1, duplicate=False)

    await run_client(server, state, patient, answer_timeout=1.0)  # the welcome comes in time


async def test_over_a_lost_connection_all_is_sent_again_once_and_in_order(
    server: ScriptedServer, state: Path
) -> None:
    async def lose(client: Client, connection: ServerConnection, _: dict[str, Any]) -> None:
        calls = [asyncio.create_task(client.broadcast(text, ref=text)) for text in "abc"]
        for expected in ("two", "a", "b", "c"):
            assert (await connection.expect("outgoing_broadcast"))["content"] == expected
        calls[1].cancel()
        connection.close()

        connection = await server.accept()
        await connection.welcome()
        refs = [(await connection.expect("outgoing_broadcast"))["ref"] for _ in range(4)]
        assert refs == ["r2", "a", "b", "c"]
        for number, ref in enumerate(refs):
            connection.send("ack", id=number + 1, ref=ref)
        assert [(await calls[0]).id, (await calls[2]).id] == [2, 4]
        await client.quit()
        assert await connection.receive() == {"code": "quit"}

    await run_client(server, state, leave_one_unacknowledged)
    await run_client(server, state, lose)


async def test_a_message_that_waits_for_its_turn_when_all_ends_is_kept_and_its_call_ends(
    server: ScriptedServer, state: Path
) -> None:
    async def replaced(client: Client, connection: ServerConnection, _: dict[str, Any]) -> None:
        calls = [asyncio.create_task(client.broadcast(text)) for text in "ab"]
        await connection.expect("outgoing_broadcast")
        connection.send("error", reason="replaced", detail="you signed in elsewhere")
        for call in calls:
            with pytest.raises(RefusedError, match="elsewhere"):
                await call
        assert client.unacknowledged == 2

    await run_client(server, state, replaced, welcome={"max_inflight": 1}, answer_timeout=None)


async def test_a_ref_that_is_on_its_way_is_not_sent_beside_itself(
    server: ScriptedServer, state: Path
) -> None:
    async def twice(client: Client, connection: ServerConnection, _: dict[str, Any]) -> None:
        calls = [asyncio.create_task(client.broadcast("two", ref="r2")) for _ in range(2)]
        await connection.expect("outgoing_broadcast")
        call = asyncio.create_task(client.who())
        request = await connection.expect("who")
        connection.send("ack", id=5, ref="r2")
        connection.send("users", users=[], ref=request["ref"])

        assert [receipt.id for receipt in await asyncio.gather(*calls)] == [5, 5]
        await call

    await run_client(server, state, leave_one_unacknowledged)
    await run_client(server, state, twice)


async def test_a_name_is_for_one_client_at_a_time(server: ScriptedServer, state: Path) -> None:
    async def first(_client: Client, _connection: ServerConnection, hello: dict[str, Any]) -> None:
        async def second(_client: Client, _connection: ServerConnection, _: dict[str, Any]) -> None:
            raise AssertionError("it has the name too")

        with pytest.raises(NameInUseError, match="is using the name ann"):
            await run_client(server, state, second)
        tokens.append(hello["token"])

    tokens: list[str] = []
    await run_client(server, state, first)
    await run_client(server, state, first)
    assert tokens[0] == tokens[1]


async def test_a_refused_hello_lets_go_of_the_name(server: ScriptedServer, state: Path) -> None:
    async with server.client(state=state) as client:
        connection = await server.accept()
        call = asyncio.create_task(client.hello("ann"))
        await connection.expect("hello")
        connection.send("error", reason="name_taken", detail="taken", suggestion="ann-2")
        with pytest.raises(RefusedError):
            await call
        await run_both(client.hello("ann-2"), connection.welcome())

        async def other(client: Client, _connection: ServerConnection, _: dict[str, Any]) -> None:
            assert client.name == "ann"

        await run_client(server, state, other)


@pytest.mark.parametrize("ref", ["", "x" * 65, "ä" * 33])
async def test_a_ref_that_no_server_takes_is_a_mistake_of_the_program(
    server: ScriptedServer, ref: str
) -> None:
    async with server.client() as client:
        with pytest.raises(ValueError, match="a ref has 1 to 64 bytes"):
            await client.broadcast("hi", ref=ref)
