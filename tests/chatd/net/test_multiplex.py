"""Which protocol serves a connection, chosen by its first bytes."""

import asyncio
import logging
from collections.abc import Callable

import pytest

from chatd.net.connection import Connection
from chatd.net.multiplex import (
    MAX_PREFIX,
    PREFIX_TIMEOUT,
    Accepted,
    Match,
    ProtocolEntry,
    ServerProtocol,
    any_bytes,
    choose,
)
from chatd.net.write_batcher import TransportWriter
from common.messages import Error
from tests.support.memory_server import MemoryClient, MemoryServer, echo, reason

PING = b'{"code":"ping"}\n'


def starts_with(expected: bytes) -> Callable[[bytes], Match]:
    """Return what recognises a protocol whose clients begin with `expected`."""

    def looks_like(prefix: bytes) -> Match:
        if prefix.startswith(expected):
            return Match.YES
        return Match.NEED_MORE if expected.startswith(prefix) else Match.NO

    return looks_like


class Shouting(ServerProtocol):
    """A protocol that answers what it reads in capitals."""

    def __init__(self, accepted: Accepted, on_closed: Callable[[ServerProtocol], None]) -> None:
        self._transport = accepted.transport
        self._on_closed = on_closed
        self.started = 0

    def start(self) -> None:
        self.started += 1

    def data_received(self, data: bytes) -> None:
        self._transport.write(data.upper())

    def connection_lost(self, exc: Exception | None) -> None:
        self._on_closed(self)

    def close(self, reason: str, error: Error) -> None:
        raise AssertionError("nobody closes it here")

    def close_idle(self) -> None:
        raise AssertionError("it is never idle here")

    def abort(self) -> None:
        self._transport.abort()


def unused(_accepted: Accepted) -> ServerProtocol:
    raise AssertionError("this row is not chosen")


def entry(name: str, looks_like: Callable[[bytes], Match]) -> ProtocolEntry:
    return ProtocolEntry(name, looks_like, unused)


TABLE = [
    entry("shout", starts_with(b"SHOUT")),
    entry("show", starts_with(b"SHOW ")),
    entry("default", any_bytes),
]


@pytest.mark.parametrize(
    ("prefix", "is_final", "name"),
    [
        (b"SHOUT hello", False, "shout"),
        (b"SHOW hello", False, "show"),
        (b"S", False, None),
        (b"SHO", False, None),
        (b"SHOW", False, None),
        (b"{", False, "default"),
        (b"SHO", True, "default"),
        (b"", True, "default"),
    ],
)
def test_the_first_row_that_recognises_the_first_bytes_has_the_connection(
    prefix: bytes, is_final: bool, name: str | None
) -> None:
    chosen = choose(TABLE, prefix, is_final=is_final)
    assert (chosen.name if chosen else None) == name


def test_a_row_that_needs_more_bytes_holds_up_those_below_it() -> None:
    table = [entry("slow", lambda _prefix: Match.NEED_MORE), entry("default", any_bytes)]
    assert choose(table, b"{", is_final=False) is None


def shouting_server() -> MemoryServer:
    def make_protocol(accepted: Accepted) -> Shouting:
        return Shouting(accepted, server.connections.closed)

    server = MemoryServer(table=[ProtocolEntry("shout", starts_with(b"SHOUT"), make_protocol)])
    return server


def shouting(client: MemoryClient) -> Shouting:
    protocol = client.transport.get_protocol()
    assert isinstance(protocol, Shouting)
    return protocol


async def test_the_protocol_gets_the_bytes_that_were_read_before_it_was_chosen() -> None:
    async with shouting_server() as server:
        client = server.connect()
        await client.send_bytes(b"SHO")
        assert bytes(client.transport.taken) == b""
        await client.send_bytes(b"UT hi")
        await client.send_bytes(b" again\n")
        assert bytes(client.transport.taken) == b"SHOUT HI AGAIN\n"
        assert shouting(client).started == 1


async def test_whatever_no_row_recognises_is_served_in_the_default_protocol() -> None:
    async with shouting_server() as server:
        client = server.connect()
        await client.send_bytes(PING)
        assert [message["code"] for message in await client.received()] == ["pong"]
        assert isinstance(client.transport.get_protocol(), Connection)


async def test_a_client_cannot_delay_the_choice_with_time() -> None:
    async with shouting_server() as server:
        client = server.connect()
        await client.send_bytes(b"S")
        await asyncio.sleep(PREFIX_TIMEOUT - 0.1)
        await client.send_bytes(b"H")
        assert not isinstance(client.transport.get_protocol(), Connection)
        await asyncio.sleep(0.2)
        assert isinstance(client.transport.get_protocol(), Connection)
        await client.send_bytes(b"\n")
        assert await reason(client) == "bad_json"


async def test_a_client_cannot_delay_the_choice_with_bytes() -> None:
    endless = ProtocolEntry("endless", lambda _prefix: Match.NEED_MORE, unused)
    async with MemoryServer(table=[endless]) as server:
        client = server.connect()
        await client.send_bytes(b" " * (MAX_PREFIX - 1))
        assert not isinstance(client.transport.get_protocol(), Connection)
        await client.send_bytes(PING)
        assert [message["code"] for message in await client.received()] == ["pong"]


async def test_the_end_of_input_ends_the_wait_for_more_bytes() -> None:
    async with shouting_server() as server:
        client = server.connect()
        await client.send_bytes(b"SH")
        await client.send_eof()
        assert await reason(client) == "bad_json"
        assert await client.close_state() == "closed"


async def test_a_client_that_says_nothing_and_closes_is_closed_too() -> None:
    async with MemoryServer() as server:
        client = server.connect()
        await client.send_eof()
        assert await client.close_state() == "closed"
        assert client.session.close_reason == "end of input"


async def test_a_client_that_says_nothing_and_is_lost_is_forgotten(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with MemoryServer(idle_timeout=60.0) as server:
        client = server.connect()
        await client.reset()
        assert len(server.connections) == 0
    assert [message.partition(": ")[2] for message in caplog.messages] == [
        "connected",
        "disconnected: connection lost (Connection reset by peer)",
    ]


async def test_a_client_that_says_nothing_for_too_long_is_told_so_in_the_default_protocol() -> None:
    async with MemoryServer(idle_timeout=60.0) as server:
        client = server.connect()
        await asyncio.sleep(59)
        assert await client.lines() == []
        await asyncio.sleep(1)
        assert await reason(client) == "idle_timeout"


async def test_the_time_of_silence_goes_on_from_the_last_byte_that_was_read() -> None:
    async with MemoryServer(idle_timeout=60.0) as server:
        client = server.connect()
        await asyncio.sleep(59)
        await client.send_bytes(PING)
        await client.lines()
        await asyncio.sleep(59)
        assert await client.lines() == []
        await asyncio.sleep(1)
        assert await reason(client) == "idle_timeout"


async def test_a_connection_is_as_old_as_when_it_was_accepted() -> None:
    async with MemoryServer() as server:
        client = server.connect()
        server.harness.clock.advance(5.0)
        await client.hello("ann")
        bob = await server.client("bob")
        await client.send({"code": "outgoing_broadcast", "content": "hi"})
        assert client.session.connected_at == 0.0
        assert len(await bob.received()) == 1


async def test_a_connection_may_be_written_to_by_way_of_its_transport_alone() -> None:
    async with MemoryServer(make_writer=TransportWriter, send_queue_limit=1_000_000) as server:
        client, slow = server.connect(), server.connect(window=100)
        await client.send(*[echo("x" * 10_000)] * 40)
        assert len(await client.received()) == 40
        await slow.send(*[echo("x" * 10_000)] * 40)
        assert len(await slow.take_all(50_000)) == 40
