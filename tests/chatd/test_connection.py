"""One connection: what it does with bytes, with those who are slow, and at its end."""

import asyncio
import json
import logging
import socket

import pytest

from chatd.connection import CHUNK, LINGER, MAX_PENDING
from chatd.outbox import BUSY_BYTES
from common.messages.base import Error
from tests.chatd.house import Client, House, Socket
from tests.chatd.stage import Json, Stage

PING = b'{"code":"ping"}\n'
HELLO_TEXT = b'{"code":"hello","format":"text"}'


def echo(content: str) -> Json:
    return {"code": "echo", "content": content}


async def reason(client: Client) -> str:
    """Return the reason of the error that came last."""
    error = (await client.heard())[-1]
    assert error["code"] == "error"
    return str(error["reason"])


class TestReading:
    async def test_what_comes_in_one_chunk_is_answered_in_one_write(self) -> None:
        async with House() as house:
            client = house.connect()
            await client.say(echo("a"), echo("b"), echo("c"))
            assert await client.heard() == [echo("a"), echo("b"), echo("c")]
            assert house.writes == [client.cable]

    async def test_an_object_without_a_newline_is_answered_at_once(self) -> None:
        async with House() as house:
            client = house.connect()
            await client.send(b'{"code":"echo"}{"code":"echo","con')
            assert len(await client.heard()) == 1
            await client.send(b'tent":1}')
            assert await client.heard() == [{"code": "echo", "content": 1}]

    async def test_an_unfinished_object_at_the_end_of_input_is_an_error(self) -> None:
        async with House() as house:
            client = house.connect()
            await client.send(b'{"code":"echo"')
            await client.end()
            assert await reason(client) == "bad_json"

    async def test_an_unfinished_line_of_text_at_the_end_of_input_is_the_last_line(self) -> None:
        async with House() as house:
            ann, guest = await house.member("ann"), house.connect()
            await guest.send(HELLO_TEXT + b"\nfirst\nlast")
            await guest.end()
            assert [message["content"] for message in await ann.heard()] == ["first", "last"]

    async def test_a_bad_line_costs_one_error_and_the_session_goes_on(self) -> None:
        async with House() as house:
            client = house.connect()
            await client.send(b"no json\n[]\n\xff\n" + PING)
            codes = [message["code"] for message in await client.heard()]
            assert codes == ["error", "error", "error", "pong"]

    async def test_a_line_may_be_as_long_as_the_terms_say(self) -> None:
        async with House(max_line=1_024) as house:
            client = house.connect()
            await client.send(b'{"code":"echo","content":"' + b"x" * 1_024 + b'"}\n' + PING)
            error, pong = await client.heard()
            assert (error["reason"], pong["code"]) == ("line_too_long", "pong")

    SWITCH = HELLO_TEXT + b"\n" + "ann|für dich\nwho\n*|für alle\n".encode()

    @pytest.mark.parametrize("cut", range(len(SWITCH)))
    async def test_what_follows_the_hello_is_text_wherever_the_chunks_are_cut(
        self, cut: int
    ) -> None:
        async with House() as house:
            ann, guest = await house.member("ann"), house.connect()
            await guest.send(self.SWITCH[:cut])
            await guest.send(self.SWITCH[cut:])
            assert [message["content"] for message in await ann.heard()] == ["für dich", "für alle"]
            assert await guest.lines() == ["current users:", "ann", "guest-1", ""]

    async def test_a_refused_hello_changes_nothing_about_how_bytes_are_read(self) -> None:
        async with House() as house:
            await house.member("ann")
            client = house.connect()
            await client.send(b'{"code":"hello","format":"text","name":"ann"}\n' + PING)
            assert [message["code"] for message in await client.heard()] == ["error", "pong"]

    async def test_a_client_that_asks_much_leaves_others_their_turn(self) -> None:
        async with House() as house:
            greedy, modest = house.connect(), house.connect()
            greedy.feed(PING * 8_000)
            modest.feed(PING)
            assert len(await greedy.lines()) == 8_000
            assert house.writes.index(modest.cable) < len(house.writes) / 2


class TestSlowClients:
    async def test_a_client_that_does_not_read_is_cut_off_and_nobody_else_is_slowed(self) -> None:
        async with House(outbox_limit=1_000_000) as house:
            ann, bob = await house.member("ann"), await house.member("bob")
            slow = house.connect(room=1_000)
            await slow.hello("slow", version=1)
            for number in range(40):
                await ann.say({"code": "outgoing_broadcast", "content": "x" * 50_000})
                assert len(await bob.heard()) == 1, number
            assert slow.session.how_it_ended == "slow consumer"
            assert house.stage.roster.find("slow") is None
            assert '"reason":"slow_consumer"' in (await slow.take(10**9))[-1]

    async def test_the_cut_off_names_bytes_limit_and_last_id(self) -> None:
        async with House(outbox_limit=1_000_000) as house:
            ann, slow = await house.member("ann"), house.connect(room=1_000)
            await slow.hello("slow", version=1)
            while not slow.session.is_closing:
                await ann.say({"code": "outgoing_broadcast", "content": "x" * 60_000})
            *_, newest, error = [json.loads(line) for line in await slow.take(10**9)]
            assert "the limit is 1000000" in error["detail"]
            assert f"resume after id {newest['id']}," in error["detail"]
            queued = int(error["detail"].split(" bytes were waiting")[0].split()[-1])
            assert 1_000_000 < queued < 1_100_000

    async def test_a_client_that_takes_not_even_the_error_is_aborted(self) -> None:
        async with House(outbox_limit=100_000) as house:
            ann, slow = await house.member("ann"), house.connect(room=1_000)
            await slow.hello("slow")
            while not slow.session.is_closing:
                await ann.say({"code": "outgoing_broadcast", "content": "x" * 50_000})
            await asyncio.sleep(LINGER - 0.1)
            assert await slow.fate() == "served"
            await asyncio.sleep(0.2)
            assert await slow.fate() == "aborted"
            assert slow.served.done()

    async def test_a_watcher_that_does_not_read_is_cut_off_by_presence_too(self) -> None:
        async with House(outbox_limit=10_000) as house:
            slow = house.connect(room=400)
            await slow.hello("slow", version=1, presence=True)
            for number in range(400):
                (await house.stage.hello(f"passer-by {number}")).vanish()
                await slow.lines()
            assert slow.session.how_it_ended == "slow consumer"

    @pytest.mark.parametrize(
        ("request_line", "count"),
        [(PING, 60_000), (b'{"code":"echo","content":"' + b"x" * 60_000 + b'"}\n', 200)],
        ids=["many short answers", "few long answers"],
    )
    async def test_a_client_whose_answers_cannot_be_written_is_not_read_from(
        self, request_line: bytes, count: int
    ) -> None:
        async with House(outbox_limit=1_000_000) as house:
            client = house.connect(room=1_000)
            await client.send(request_line * count)
            assert not client.cable.is_read
            assert client.held < BUSY_BYTES + 600_000
            assert len(await client.take_all(50_000)) == count
            assert client.session.how_it_ended == ""

    @pytest.mark.parametrize("question", [{"code": "history"}, {"code": "who", "ref": "1"}])
    async def test_long_answers_are_given_as_fast_as_they_are_taken(self, question: Json) -> None:
        async with House(outbox_limit=1_000_000) as house:
            await house.stage.hello("x" * 64)
            for number in range(4_000):
                (await house.stage.hello(f"{number} {'x' * 50}"))
            client = house.connect(room=1_000)
            await client.hello("ann", version=1)
            for _ in range(4):
                await client.say({"code": "outgoing_broadcast", "content": "x" * 60_000})
            await client.say(*[question] * 100)
            assert len(await client.take_all(100_000)) == 100
            assert client.session.how_it_ended == ""

    async def test_a_replay_is_sent_as_fast_as_it_is_taken(self) -> None:
        async with House(outbox_limit=500_000) as house:
            ann, slow = await house.member("ann"), house.connect(room=1_000)
            for _ in range(50):
                await ann.say({"code": "outgoing_broadcast", "content": "x" * 60_000})
            await slow.say({"code": "hello", "name": "slow", "version": 1, "after": 0})
            heard = [json.loads(line) for line in await slow.take_all(100_000)]
            assert [message["id"] for message in heard[1:-1]] == list(range(1, 51))
            assert heard[-1]["code"] == "resumed"

    async def test_a_client_with_too_many_answers_due_is_not_read_from(self) -> None:
        stage = Stage()
        async with House(stage=stage) as house:
            ann = await house.member("ann", version=1)
            said = [
                {"code": "outgoing_broadcast", "content": "x", "ref": f"{number}"}
                for number in range(2 * MAX_PENDING)
            ]
            await ann.say(*said)
            assert ann.session.pending == MAX_PENDING
            while ann.session.pending:
                stage.end_turn.run()
                assert ann.session.pending <= MAX_PENDING
                await ann.send(b"")
            assert [ack["id"] for ack in await ann.heard()] == list(range(1, 2 * MAX_PENDING + 1))


class TestEnding:
    async def test_the_end_of_input_is_answered_with_what_is_due_and_the_end(self) -> None:
        async with House() as house:
            ann, bob = await house.member("ann", version=1), await house.member("bob")
            await ann.say({"code": "outgoing_broadcast", "content": "bye", "ref": "1"})
            await ann.end()
            assert [message["code"] for message in await ann.heard()] == ["ack"]
            assert len(await bob.heard()) == 1
            assert ann.cable.is_eof_written
            assert await ann.fate() == "closed"
            assert ann.session.how_it_ended == "end of input"

    async def test_quit_waits_for_the_acknowledgements(self) -> None:
        stage = Stage()
        async with House(stage=stage) as house:
            ann = await house.member("ann", version=1)
            await ann.say({"code": "outgoing_broadcast", "content": "bye", "ref": "1"})
            await ann.say({"code": "quit"})
            assert not ann.cable.is_eof_written
            stage.end_turn.run()
            assert await ann.heard() == [{"code": "ack", "ref": "1", "id": 1}]
            assert ann.cable.is_eof_written

    async def test_after_quit_what_still_comes_is_read_and_dropped(self) -> None:
        async with House() as house:
            ann = await house.member("ann")
            await ann.send(b'{"code":"quit"}\n' + PING)
            await ann.send(PING * 1_000)
            assert await ann.lines() == []
            assert ann.cable.is_eof_written
            assert await ann.fate() == "served"
            await ann.end()
            assert await ann.fate() == "closed"

    async def test_a_client_that_never_closes_is_aborted_after_a_while(self) -> None:
        async with House() as house:
            ann = await house.member("ann")
            await ann.send(b'{"code":"quit"}\n')
            started = asyncio.get_running_loop().time()
            await ann.served
            assert asyncio.get_running_loop().time() - started == pytest.approx(LINGER, abs=0.01)
            assert await ann.fate() == "aborted"

    async def test_whoever_takes_the_rest_slowly_gets_all_of_it(self) -> None:
        async with House() as house:
            client = house.connect(room=0)
            await client.say(*[echo("x" * 50_000)] * 40, {"code": "quit"})
            answers = 0
            while await client.fate() == "served" and not client.cable.is_eof_written:
                await asyncio.sleep(LINGER * 0.9)
                answers += len(await client.take(2 * CHUNK))
            assert answers == 40

    async def test_a_lost_connection_frees_the_name_at_once(self) -> None:
        async with House() as house:
            ann, bob = await house.member("ann"), await house.member("bob")
            await bob.send(b'{"code":"outgoing","to":"an')
            await bob.reset()
            assert bob.session.how_it_ended == "connection lost (Connection reset by peer)"
            await ann.say({"code": "who"})
            assert (await ann.heard())[0]["users"] == ["ann"]

    async def test_a_connection_lost_while_it_is_written_to_is_over(self) -> None:
        async with House() as house:
            client = house.connect(room=0)
            await client.send(PING * 10)
            await client.reset()
            assert client.served.done()
            assert client.session.is_closing

    async def test_a_fault_inside_costs_one_connection_and_is_logged(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with House() as house:
            ann, bob = await house.member("ann"), await house.member("bob")

            def fail(*_: object) -> None:
                raise RuntimeError("something broke")

            with monkeypatch.context() as patch:
                patch.setattr(house.stage.router, "dispatch", fail)
                await ann.send(PING)
            assert ann.session.how_it_ended == "a fault of the server"
            assert "RuntimeError: something broke" in caplog.text
            await bob.say({"code": "who"})
            assert (await bob.heard())[0]["users"] == ["bob"]

    async def test_both_ends_of_a_connection_are_logged(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        async with House() as house:
            ann = await house.member("ann")
            await ann.send(b'{"code":"quit"}\n')
        came, went = caplog.text.splitlines()
        assert came.endswith(" 192.0.2.1:40000: connected")
        assert went.endswith(" ann (192.0.2.1:40000): disconnected: quit")


class TestSilence:
    async def test_a_silent_connection_is_closed_and_told_why(self) -> None:
        async with House(idle_timeout=60.0) as house:
            ann = await house.member("ann")
            await asyncio.sleep(59)
            assert not ann.session.is_closing
            await asyncio.sleep(1)
            (error,) = await ann.heard()
            assert (error["reason"], ann.session.how_it_ended) == ("idle_timeout", "idle")
            assert "1m" in error["detail"]

    async def test_anything_that_is_heard_starts_the_time_anew(self) -> None:
        async with House(idle_timeout=60.0) as house:
            ann = await house.member("ann")
            for _ in range(5):
                await asyncio.sleep(59)
                await ann.send(b"\n")
            assert await ann.lines() == []
            await asyncio.sleep(61)
            assert await reason(ann) == "idle_timeout"

    async def test_what_is_sent_to_a_client_does_not_count_as_heard(self) -> None:
        async with House(idle_timeout=60.0) as house:
            ann, bob = await house.member("ann"), await house.member("bob")
            for _ in range(3):
                await asyncio.sleep(25)
                await bob.say({"code": "outgoing_broadcast", "content": "hey"})
            assert await reason(ann) == "idle_timeout"
            assert not bob.session.is_closing

    async def test_without_a_timeout_silence_is_fine(self) -> None:
        async with House() as house:
            ann = await house.member("ann")
            await asyncio.sleep(10**6)
            assert not ann.session.is_closing

    async def test_a_connection_that_was_refused_at_once_is_aborted_all_the_same(self) -> None:
        async with House(idle_timeout=600.0) as house:
            client = house.connect()
            client.session.close("server full", Error("server_full", "…"))
            assert await reason(client) == "server_full"
            await asyncio.sleep(LINGER + 0.1)
            assert await client.fate() == "aborted"


async def test_the_kernel_is_to_notice_that_the_other_host_is_gone() -> None:
    async with House() as house:
        connected: Socket = house.connect().cable.get_extra_info("socket")
        assert connected.options[socket.SOL_SOCKET, socket.SO_KEEPALIVE] == 1


async def test_a_client_that_is_gone_before_it_is_served_has_no_address() -> None:
    async with House() as house:
        assert str(house.connect(peer=None).session) == "?:0"
