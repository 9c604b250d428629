"""What serving costs, in writes, encodings and calls, which a busy machine does not change.

A bound on calls is what is needed today. Whoever breaks one has made the hot path longer
for everybody, and finds out here and not in the next benchmark.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

import pytest
from msgspec import Raw

import chatd
import common
from chatd.core.formats import FORMATS, Format
from chatd.messagelog.base import Entry
from common.messages.chat import Incoming, IncomingBroadcast
from tests.support.fake_time import quiet
from tests.support.memory_server import MemoryClient, MemoryServer
from tests.support.service_harness import Json

PACKAGE_DIRECTORIES: Final = tuple(str(Path(package.__path__[0])) for package in (chatd, common))

PING: Final = {"code": "ping", "ref": "1"}
HEY: Final = {"code": "outgoing_broadcast", "content": "hey"}
REQUEST: Final = "Hub&&name&&qwe&&id&&123"


@contextmanager
def counted_calls() -> Iterator[Counter[CodeType]]:
    """Count the calls of functions of the project, generators each time they go on."""
    calls: Counter[CodeType] = Counter()

    def count(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE_DIRECTORIES):
            calls[frame.f_code] += 1

    outer = sys.getprofile()
    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(outer)


@contextmanager
def counted_lines() -> Iterator[Counter[CodeType]]:
    """Count the lines of the project that run, those of loops each time."""
    lines: Counter[CodeType] = Counter()

    def count(frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "line":
            lines[frame.f_code] += 1
        return count if frame.f_code.co_filename.startswith(PACKAGE_DIRECTORIES) else None

    outer = sys.gettrace()
    sys.settrace(count)
    try:
        yield lines
    finally:
        sys.settrace(outer)


async def calls_for(client: MemoryClient, *messages: Json) -> int:
    """Return the calls it takes to serve `messages` that come in one chunk."""
    chunk = b"".join(json.dumps(message).encode() + b"\n" for message in messages)
    with counted_calls() as calls:
        await client.send_bytes(chunk)
    return calls.total()


def one_more(few: int, many: int, count: int) -> float:
    """Return what each of `count` more cost, with its share of what comes once for many."""
    return (many - few) / count


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Format, int]]:
    """Every entry of the log that is rendered from now on, and in which format."""
    seen: list[tuple[Format, int]] = []

    def counted(
        wire_format: Format, entries: Iterable[Entry]
    ) -> Sequence[Incoming | IncomingBroadcast | Raw]:
        entries = list(entries)
        seen.extend((wire_format, entry.id) for entry in entries)
        return original[wire_format](entries)

    original = {wire_format: wire_format.to_messages for wire_format in FORMATS}
    for wire_format in FORMATS:
        monkeypatch.setattr(wire_format, "to_messages", partial(counted, wire_format))
    return seen


async def test_a_chunk_of_pings_is_answered_with_one_write() -> None:
    async with MemoryServer() as server:
        client = server.connect()
        server.writes.clear()
        await client.send(*[PING] * 500)
        assert server.writes == [client.transport]


async def test_a_ping_more_in_a_chunk_costs_no_call_of_its_own() -> None:
    async with MemoryServer() as server:
        client = server.connect()
        few = await calls_for(client, *[PING] * 100)
        many = await calls_for(client, *[PING] * 400)
        assert one_more(few, many, 300) < 0.1


@pytest.mark.parametrize("count", [1, 32])
async def test_broadcasts_of_one_loop_iteration_are_one_write_for_each_client(count: int) -> None:
    async with MemoryServer() as server:
        author, *clients = [await server.client(f"m{n}") for n in range(21)]
        server.writes.clear()
        await author.send(*[HEY] * count)
        assert Counter(server.writes) == Counter(client.transport for client in clients)


async def test_a_broadcast_is_encoded_once_for_each_format(
    encoded: list[tuple[Format, int]],
) -> None:
    async with MemoryServer() as server:
        author, *_ = [await server.client(f"m{n}", version=n % 2) for n in range(20)]
        await author.send(HEY, HEY)
        assert Counter(encoded) == Counter(
            (wire_format, number) for wire_format in (Format.LEGACY, Format.V1) for number in (1, 2)
        )


async def test_a_client_more_costs_few_calls_however_much_is_said() -> None:
    for count in (1, 32):
        async with MemoryServer() as server:
            author = await server.client("author")
            few = await _calls_with_clients(server, author, 10, count)
            many = await _calls_with_clients(server, author, 60, count)
            assert one_more(few, many, 50) < 6


async def _calls_with_clients(
    server: MemoryServer, author: MemoryClient, clients: int, count: int
) -> int:
    for number in range(len(server.harness.presence), clients + 1):
        await server.client(f"m{number}")
    return await calls_for(author, *[HEY] * count)


async def test_an_author_more_in_a_loop_iteration_costs_the_same_however_many_there_are() -> None:
    async with MemoryServer() as server:
        clients = [await server.client(f"m{n}") for n in range(120)]
        few = await _lines_for_authors(clients[:20])
        more = await _lines_for_authors(clients[:70])
        many = await _lines_for_authors(clients)
        assert one_more(few, more, 50) == one_more(more, many, 50)


async def _lines_for_authors(authors: Sequence[MemoryClient]) -> int:
    """Return the lines of code that run when each of `authors` says something in the same turn."""
    with counted_lines() as lines:
        for author in authors:
            author.feed(json.dumps(HEY).encode() + b"\n")
        await quiet()
    return lines.total()


async def test_direct_messages_of_one_loop_iteration_are_one_write_and_encoded_once_each(
    encoded: list[tuple[Format, int]],
) -> None:
    async with MemoryServer() as server:
        author, recipient = await server.client("ann"), await server.client("bob")
        await server.client("somebody else", version=1)
        server.writes.clear()
        await author.send(*[_to("bob")] * 32)
        assert server.writes == [recipient.transport]
        assert encoded == [(Format.LEGACY, number) for number in range(1, 33)]


async def test_a_direct_message_more_in_a_chunk_costs_no_call_of_its_own() -> None:
    async with MemoryServer() as server:
        author, _ = await server.client("ann"), await server.client("bob")
        few = await calls_for(author, *[_to("bob")] * 100)
        many = await calls_for(author, *[_to("bob")] * 400)
        assert one_more(few, many, 300) < 0.3


@pytest.mark.parametrize(
    ("to", "limit"), [("bob", 12), ("nobody", 24)], ids=["kinds that alternate", "all waited for"]
)
async def test_a_message_in_a_chunk_costs_the_same_however_many_there_are(
    to: str, limit: int
) -> None:
    async with MemoryServer() as server:
        author, _ = await server.client("ann"), await server.client("bob")
        messages = [_to(to), PING] if to == "bob" else [_to(to), _to(to)]
        few = await calls_for(author, *messages * 50)
        more = await calls_for(author, *messages * 200)
        many = await calls_for(author, *messages * 350)
        assert one_more(few, more, 300) == pytest.approx(one_more(more, many, 300), rel=0.05)
        assert one_more(few, many, 600) < limit


def _to(name: str) -> Json:
    return {"code": "outgoing", "to": name, "content": "hi"}


async def test_answers_that_fall_due_together_are_one_write() -> None:
    async with MemoryServer() as server:
        client = server.connect()
        await client.send(*[{"request_id": n, "data": REQUEST} for n in range(3)])
        server.writes.clear()
        server.harness.clock.advance(10.0)
        assert len(await client.received()) == 3
        assert server.writes == [client.transport]
