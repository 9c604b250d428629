"""How a connection ends: by its client, by a fault, or by silence."""

import asyncio
import gc
import logging

import pytest

from chatd.connection import LINGER, Connection
from chatd.outbox import SendQueue
from chatd.reader import ConnectionReader
from chatd.session import Session
from chatd.turn import MAX_WRITE
from common.messages.base import Error
from tests.chatd.house import House, reason
from tests.chatd.stage import Stage

PING = b'{"code":"ping"}\n'


async def test_the_end_of_input_is_answered_with_what_is_due_and_the_end() -> None:
    async with House() as house:
        ann, bob = await house.member("ann", version=1), await house.member("bob")
        await ann.say({"code": "outgoing_broadcast", "content": "bye", "ref": "1"})
        await ann.end()
        assert [message["code"] for message in await ann.heard()] == ["ack"]
        assert len(await bob.heard()) == 1
        assert ann.cable.is_eof_written
        assert await ann.fate() == "closed"
        assert ann.session.close_reason == "end of input"


async def test_at_the_end_of_input_answers_that_are_due_are_waited_for() -> None:
    stage = Stage()
    async with House(stage=stage) as house:
        ann = await house.member("ann", version=1)
        await ann.say({"code": "outgoing_broadcast", "content": "bye", "ref": "1"})
        await ann.end()
        assert not ann.cable.is_eof_written
        stage.end_turn.run()
        assert await ann.heard() == [{"code": "ack", "ref": "1", "id": 1}]
        assert await ann.fate() == "closed"


async def test_quit_waits_for_the_acknowledgements() -> None:
    stage = Stage()
    async with House(stage=stage) as house:
        ann = await house.member("ann", version=1)
        await ann.say({"code": "outgoing_broadcast", "content": "bye", "ref": "1"})
        await ann.say({"code": "quit"})
        assert not ann.cable.is_eof_written
        stage.end_turn.run()
        assert await ann.heard() == [{"code": "ack", "ref": "1", "id": 1}]
        assert ann.cable.is_eof_written


async def test_after_quit_what_still_comes_is_read_and_dropped() -> None:
    async with House() as house:
        ann, bob = await house.member("ann"), await house.member("bob")
        afterthought = {"code": "outgoing_broadcast", "content": "and another thing"}
        await ann.say({"code": "quit"}, afterthought)
        await ann.say(afterthought)
        await ann.send(PING * 1_000)
        assert await ann.lines() == await bob.lines() == []
        assert ann.cable.is_eof_written
        assert await ann.fate() == "served"
        await ann.end()
        assert await ann.fate() == "closed"


async def test_a_client_that_never_closes_is_aborted_after_a_while() -> None:
    async with House() as house:
        ann = await house.member("ann")
        await ann.send(b'{"code":"quit"}\n')
        started = asyncio.get_running_loop().time()
        await ann.served
        assert asyncio.get_running_loop().time() - started == pytest.approx(LINGER, abs=0.01)
        assert await ann.fate() == "aborted"


async def test_whoever_takes_the_rest_slowly_gets_all_of_it() -> None:
    async with House() as house:
        ann, slow = await house.member("ann"), house.connect(room=100)
        await slow.hello("slow")
        for _ in range(40):
            await ann.say({"code": "outgoing_broadcast", "content": "x" * 50_000})
        slow.session.close("server stops")
        deliveries = 0
        while await slow.fate() == "served" and not slow.cable.is_eof_written:
            await asyncio.sleep(LINGER * 0.9)
            deliveries += len(await slow.take(2 * MAX_WRITE))
        assert deliveries == 40


async def test_a_lost_connection_frees_the_name_at_once() -> None:
    async with House() as house:
        ann, bob = await house.member("ann"), await house.member("bob")
        await bob.send(b'{"code":"outgoing","to":"an')
        await bob.reset()
        assert bob.session.close_reason == "connection lost (Connection reset by peer)"
        await ann.say({"code": "who"})
        assert (await ann.heard())[0]["users"] == ["ann"]


async def test_a_connection_lost_while_it_is_written_to_is_over() -> None:
    async with House() as house:
        client = house.connect(room=0)
        await client.send(PING * 10)
        await client.reset()
        assert client.served.done()
        assert client.session.is_closing


async def test_a_fault_inside_costs_one_connection_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with House() as house:
        ann, bob = await house.member("ann"), await house.member("bob")

        def fail(*_: object) -> None:
            raise RuntimeError("something broke")

        with monkeypatch.context() as patch:
            patch.setattr(house.stage.router, "serve", fail)
            await ann.send(PING)
        assert ann.session.close_reason == "a fault of the server"
        assert "RuntimeError: something broke" in caplog.text
        await bob.say({"code": "who"})
        assert (await bob.heard())[0]["users"] == ["bob"]


async def test_both_ends_of_a_connection_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with House() as house:
        ann = await house.member("ann")
        await ann.send(b'{"code":"quit"}\n')
    came, went = caplog.text.splitlines()
    assert came.endswith(" 192.0.2.1:40000: connected")
    assert went.endswith(" ann (192.0.2.1:40000): disconnected: quit")


async def test_a_silent_connection_is_closed_and_told_why() -> None:
    async with House(idle_timeout=60.0) as house:
        ann = await house.member("ann")
        await asyncio.sleep(59)
        assert not ann.session.is_closing
        await asyncio.sleep(1)
        (error,) = await ann.heard()
        assert (error["reason"], ann.session.close_reason) == ("idle_timeout", "idle")
        assert "1m" in error["detail"]


async def test_anything_that_is_heard_starts_the_time_anew() -> None:
    async with House(idle_timeout=60.0) as house:
        ann = await house.member("ann")
        for _ in range(5):
            await asyncio.sleep(59)
            await ann.send(b"\n")
        assert await ann.lines() == []
        await asyncio.sleep(61)
        assert await reason(ann) == "idle_timeout"


async def test_what_is_sent_to_a_client_does_not_count_as_heard() -> None:
    async with House(idle_timeout=60.0) as house:
        ann, bob = await house.member("ann"), await house.member("bob")
        for _ in range(3):
            await asyncio.sleep(25)
            await bob.say({"code": "outgoing_broadcast", "content": "hey"})
        assert await reason(ann) == "idle_timeout"
        assert not bob.session.is_closing


async def test_without_a_timeout_silence_is_fine() -> None:
    async with House() as house:
        ann = await house.member("ann")
        await asyncio.sleep(10**6)
        assert not ann.session.is_closing


async def test_a_connection_that_was_refused_at_once_is_aborted_all_the_same() -> None:
    async with House(idle_timeout=600.0) as house:
        client = house.connect()
        client.session.close("server full", Error("server_full", "…"))
        assert await reason(client) == "server_full"
        await asyncio.sleep(LINGER + 0.1)
        assert await client.fate() == "aborted"


def living() -> int:
    """Return how many objects there are of which a connection has one each."""
    kinds = (
        Connection,
        Session,
        SendQueue,
        ConnectionReader,
        asyncio.StreamWriter,
        asyncio.StreamReader,
    )
    return sum(isinstance(one, kinds) for one in gc.get_objects())


async def test_a_connection_that_is_over_leaves_nothing_to_the_garbage_collector() -> None:
    async with House(idle_timeout=5.0) as house:
        gc.collect()
        gc.disable()
        try:
            before = living()
            client = await house.member("ann", version=1)
            assert living() == before + 6
            await client.end()
            assert await client.fate() == "closed"
            del client.connection, client.session  # which this test holds itself
            assert living() == before
        finally:
            gc.enable()
