"""One connection: what it makes of the bytes that come, however they come.

How a connection ends: by its client, by a fault, or by silence.
"""

import asyncio
import gc
import logging

import pytest

from chatd.core.send_queue import SendQueue
from chatd.core.session import Session
from chatd.net.connection import LINGER, Connection
from chatd.net.multiplex import UndecidedConnection
from chatd.net.reader import ConnectionReader
from chatd.net.write_batcher import MAX_WRITE
from tests.support.memory_server import MemoryServer, echo, reason
from tests.support.service_harness import ServiceHarness

PING = b'{"code":"ping"}\n'
HELLO_TEXT = b'{"code":"hello","format":"text"}'


async def test_what_comes_in_one_chunk_is_answered_in_one_write() -> None:
    async with MemoryServer() as server:
        client = server.connect()
        await client.send(echo("a"), echo("b"), echo("c"))
        assert await client.received() == [echo("a"), echo("b"), echo("c")]
        assert server.writes == [client.transport]


async def test_an_object_without_a_newline_is_answered_at_once() -> None:
    async with MemoryServer() as server:
        client = server.connect()
        await client.send_bytes(b'{"code":"echo"}{"code":"echo","con')
        assert len(await client.received()) == 1
        await client.send_bytes(b'tent":1}')
        assert await client.received() == [{"code": "echo", "content": 1}]


async def test_an_unfinished_object_at_the_end_of_input_is_an_error() -> None:
    async with MemoryServer() as server:
        client = server.connect()
        await client.send_bytes(b'{"code":"echo"')
        await client.send_eof()
        assert await reason(client) == "bad_json"


async def test_an_unfinished_line_of_text_at_the_end_of_input_is_the_last_line() -> None:
    async with MemoryServer() as server:
        ann, guest = await server.client("ann"), server.connect()
        await guest.send_bytes(HELLO_TEXT + b"\nfirst\nlast")
        await guest.send_eof()
        assert [message["content"] for message in await ann.received()] == ["first", "last"]


async def test_a_bad_line_costs_one_error_and_the_session_goes_on() -> None:
    async with MemoryServer() as server:
        client = server.connect()
        await client.send_bytes(b"no json\n[]\n\xff\n" + PING)
        codes = [message["code"] for message in await client.received()]
        assert codes == ["error", "error", "error", "pong"]


async def test_a_line_may_be_as_long_as_the_limits_say() -> None:
    async with MemoryServer(max_line=1_024) as server:
        client = server.connect()
        await client.send_bytes(b'{"code":"echo","content":"' + b"x" * 1_024 + b'"}\n' + PING)
        error, pong = await client.received()
        assert (error["reason"], pong["code"]) == ("line_too_long", "pong")


async def test_what_follows_the_hello_is_text_wherever_the_chunks_are_cut() -> None:
    sent = HELLO_TEXT + b"\n" + "ann|für dich\nwho\n*|für alle\n".encode()
    for cut in range(len(sent)):
        async with MemoryServer() as server:
            ann, guest = await server.client("ann"), server.connect()
            await guest.send_bytes(sent[:cut])
            await guest.send_bytes(sent[cut:])
            contents = [message["content"] for message in await ann.received()]
            assert contents == ["für dich", "für alle"], cut
            assert await guest.lines() == ["current users:", "ann", "guest-1", ""], cut


async def test_a_refused_hello_changes_nothing_about_how_bytes_are_read() -> None:
    async with MemoryServer() as server:
        await server.client("ann")
        client = server.connect()
        await client.send_bytes(b'{"code":"hello","format":"text","name":"ann"}\n' + PING)
        assert [message["code"] for message in await client.received()] == ["error", "pong"]


async def test_a_client_that_asks_much_lets_others_be_served() -> None:
    async with MemoryServer() as server:
        greedy, modest = server.connect(), server.connect()
        greedy.feed(PING * 8_000)
        modest.feed(PING)
        assert len(await greedy.lines()) == 8_000
        assert server.writes.index(modest.transport) < len(server.writes) / 2


async def test_messages_are_counted_in_whatever_format_they_are() -> None:
    async with MemoryServer() as server:
        ann, guest = await server.client("ann"), server.connect()
        await ann.send_bytes(PING * 3)
        await ann.send_bytes(b"no json\n" + PING + b'{"code":"ec')
        await guest.send_bytes(HELLO_TEXT + b"\nwho\nann|hi\n")
        assert server.metrics.messages_received == 1 + 3 + 2 + 3


async def test_what_is_due_goes_out_before_a_chunk_is_served() -> None:
    async with MemoryServer() as server:
        punctual, other = server.connect(), server.connect()
        await punctual.send({"code": "exchange", "id": "1", "interval_ms": 10, "duration_s": 1})
        await punctual.received()
        server.harness.clock.now += 0.01  # and no timer had its turn meanwhile
        before = len(server.writes)
        await other.send(echo("a"))
        assert server.writes[before:] == [punctual.transport, other.transport]


async def test_a_client_that_is_gone_before_it_is_served_has_no_address() -> None:
    async with MemoryServer() as server:
        client = server.connect(peer=None)
        await client.send_bytes(PING)
        assert str(client.session) == "?:0"


async def test_the_end_of_input_is_answered_with_what_is_due_and_the_end() -> None:
    async with MemoryServer() as server:
        ann, bob = await server.client("ann", version=1), await server.client("bob")
        await ann.send({"code": "outgoing_broadcast", "content": "bye", "ref": "1"})
        await ann.send_eof()
        assert [message["code"] for message in await ann.received()] == ["ack"]
        assert len(await bob.received()) == 1
        assert ann.transport.is_eof_written
        assert await ann.close_state() == "closed"
        assert ann.session.close_reason == "end of input"


async def test_at_the_end_of_input_answers_that_are_due_are_waited_for() -> None:
    harness = ServiceHarness()
    async with MemoryServer(harness=harness) as server:
        ann = await server.client("ann", version=1)
        await ann.send({"code": "outgoing_broadcast", "content": "bye", "ref": "1"})
        await ann.send_eof()
        assert not ann.transport.is_eof_written
        harness.scheduler.run()
        assert await ann.received() == [{"code": "ack", "ref": "1", "id": 1}]
        assert await ann.close_state() == "closed"


async def test_quit_waits_for_the_acknowledgements() -> None:
    harness = ServiceHarness()
    async with MemoryServer(harness=harness) as server:
        ann = await server.client("ann", version=1)
        await ann.send({"code": "outgoing_broadcast", "content": "bye", "ref": "1"})
        await ann.send({"code": "quit"})
        assert not ann.transport.is_eof_written
        harness.scheduler.run()
        assert await ann.received() == [{"code": "ack", "ref": "1", "id": 1}]
        assert ann.transport.is_eof_written


async def test_after_quit_what_still_comes_is_read_and_dropped() -> None:
    async with MemoryServer() as server:
        ann, bob = await server.client("ann"), await server.client("bob")
        afterthought = {"code": "outgoing_broadcast", "content": "and another thing"}
        await ann.send({"code": "quit"}, afterthought)
        await ann.send(afterthought)
        await ann.send_bytes(PING * 1_000)
        assert await ann.lines() == await bob.lines() == []
        assert ann.transport.is_eof_written
        assert await ann.close_state() == "served"
        await ann.send_eof()
        assert await ann.close_state() == "closed"


async def test_a_client_that_never_closes_is_aborted_after_a_while() -> None:
    async with MemoryServer() as server:
        ann = await server.client("ann")
        await ann.send_bytes(b'{"code":"quit"}\n')
        started = asyncio.get_running_loop().time()
        await ann.served
        assert asyncio.get_running_loop().time() - started == pytest.approx(LINGER, abs=0.01)
        assert await ann.close_state() == "aborted"


async def test_whoever_takes_the_rest_slowly_gets_all_of_it() -> None:
    async with MemoryServer() as server:
        ann, slow = await server.client("ann"), server.connect(window=100)
        await slow.hello("slow")
        for _ in range(40):
            await ann.send({"code": "outgoing_broadcast", "content": "x" * 50_000})
        slow.session.close("server shutting down")
        deliveries = 0
        while await slow.close_state() == "served" and not slow.transport.is_eof_written:
            await asyncio.sleep(LINGER * 0.9)
            deliveries += len(await slow.take(2 * MAX_WRITE))
        assert deliveries == 40


async def test_a_lost_connection_frees_the_name_at_once() -> None:
    async with MemoryServer() as server:
        ann, bob = await server.client("ann"), await server.client("bob")
        await bob.send_bytes(b'{"code":"outgoing","to":"an')
        await bob.reset()
        assert bob.session.close_reason == "connection lost (Connection reset by peer)"
        await ann.send({"code": "who"})
        assert (await ann.received())[0]["users"] == ["ann"]


async def test_a_connection_lost_while_it_is_written_to_is_over() -> None:
    async with MemoryServer() as server:
        client = server.connect(window=0)
        await client.send_bytes(PING * 10)
        await client.reset()
        assert client.served.done()
        assert client.session.is_closing


async def test_an_internal_error_costs_one_connection_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with MemoryServer() as server:
        ann, bob = await server.client("ann"), await server.client("bob")

        def fail(*_: object) -> None:
            raise RuntimeError("something broke")

        with monkeypatch.context() as patch:
            patch.setattr(server.harness.router, "serve", fail)
            await ann.send_bytes(PING)
        assert ann.session.close_reason == "internal error"
        assert "RuntimeError: something broke" in caplog.text
        await bob.send({"code": "who"})
        assert (await bob.received())[0]["users"] == ["bob"]


async def test_both_ends_of_a_connection_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with MemoryServer() as server:
        ann = await server.client("ann")
        await ann.send_bytes(b'{"code":"quit"}\n')
    came, went = caplog.text.splitlines()
    assert came.endswith(" 192.0.2.1:40000: connected")
    assert went.endswith(" ann (192.0.2.1:40000): disconnected: quit")


async def test_a_silent_connection_is_closed_with_the_reason() -> None:
    async with MemoryServer(idle_timeout=60.0) as server:
        ann = await server.client("ann")
        await asyncio.sleep(59)
        assert not ann.session.is_closing
        await asyncio.sleep(1)
        (error,) = await ann.received()
        assert (error["reason"], ann.session.close_reason) == ("idle_timeout", "idle")
        assert "1m" in error["detail"]


async def test_anything_that_is_received_starts_the_time_anew() -> None:
    async with MemoryServer(idle_timeout=60.0) as server:
        ann = await server.client("ann")
        for _ in range(5):
            await asyncio.sleep(59)
            await ann.send_bytes(b"\n")
        assert await ann.lines() == []
        await asyncio.sleep(61)
        assert await reason(ann) == "idle_timeout"


async def test_what_is_sent_to_a_client_does_not_count_as_received() -> None:
    async with MemoryServer(idle_timeout=60.0) as server:
        ann, bob = await server.client("ann"), await server.client("bob")
        for _ in range(3):
            await asyncio.sleep(25)
            await bob.send({"code": "outgoing_broadcast", "content": "hey"})
        assert await reason(ann) == "idle_timeout"
        assert not bob.session.is_closing


async def test_without_a_timeout_silence_is_fine() -> None:
    async with MemoryServer() as server:
        ann = await server.client("ann")
        await asyncio.sleep(10**6)
        assert not ann.session.is_closing


async def test_a_connection_that_is_refused_at_once_is_aborted_all_the_same() -> None:
    async with MemoryServer(idle_timeout=600.0, max_connections=0) as server:
        client = server.connect()
        assert await reason(client) == "server_full"
        await asyncio.sleep(LINGER + 0.1)
        assert await client.close_state() == "aborted"


def living() -> int:
    """Return how many objects there are of which a connection has one each."""
    kinds = (
        Connection,
        Session,
        SendQueue,
        ConnectionReader,
        UndecidedConnection,
    )
    return sum(isinstance(one, kinds) for one in gc.get_objects())


async def test_a_connection_that_is_over_leaves_nothing_to_the_garbage_collector() -> None:
    async with MemoryServer(idle_timeout=5.0) as server:
        gc.collect()
        gc.disable()
        try:
            before = living()
            client = await server.client("ann", version=1)
            assert living() == before + 4
            await client.send_eof()
            assert await client.close_state() == "closed"
            del client.connection, client.session  # which this test holds itself
            assert living() == before
        finally:
            gc.enable()
