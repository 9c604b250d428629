"""``chatctl import``: sending a file to a server that does only what the test says."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable

import pytest

from chatctl.cli.bulk import MAX_IN_FLIGHT
from chatctl.client import ChatMessage, RefusedError
from chatctl.client.events import Receipt
from chatctl.commands.import_ import Imported, ImportReader, ImportSummary, send_file
from chatctl.errors import (
    AnswerTimeoutError,
    CannotConnectError,
    ClientError,
    Exit,
    UsageError,
)
from common.messages.base import Error
from common.messages.chat import Outgoing, OutgoingBroadcast
from tests.support.event_loop import until


def line(code: str, **fields: object) -> str:
    return json.dumps({"code": code, **fields})


class FakeServer:
    """Has a log in which each ref is once."""

    def __init__(self) -> None:
        self.log: list[tuple[str, str, str]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.most_in_flight = 0
        self._in_flight = 0

    async def submit(self, message: ChatMessage) -> Receipt:
        to, text = message.to if isinstance(message, Outgoing) else "*", message.content
        ref = message.ref or ""
        if not 1 <= len(ref) <= 64:
            raise ValueError("a ref has 1 to 64 bytes")
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        await self.may_answer.wait()
        self._in_flight -= 1
        match to:
            case "nobody":
                raise RefusedError(Error("no_such_user", "there is no nobody here"))
            case "silence":
                raise AnswerTimeoutError("no answer came within 10 s")
            case "abyss":
                raise CannotConnectError("the connection was lost")
        refs = [known for _, _, known in self.log]
        if ref in refs:
            return Receipt(refs.index(ref) + 1, 0.001, duplicate=True)
        self.log.append((to, text, ref))
        return Receipt(len(self.log), 0.001)


async def stream(lines: Iterable[str]) -> AsyncIterator[str]:
    for each in lines:
        yield each


class ReportLog:
    """What was reported, by line."""

    def __init__(self) -> None:
        self.results: dict[int, Imported | ClientError | None] = {}

    def __call__(self, number: int, result: Imported | ClientError | None) -> None:
        assert number not in self.results
        self.results[number] = result


async def send(server: FakeServer, *lines: str) -> tuple[ImportSummary, ReportLog]:
    summary, reports = ImportSummary(), ReportLog()
    await send_file(stream(lines), ImportReader("ann"), server.submit, summary, reports)
    return summary, reports


FILE = (
    line("outgoing", to="bob", content="one", ref="r1"),
    line("outgoing_broadcast", content="two", ref="r2"),
    line("outgoing_broadcast", content="two"),
    line("outgoing_broadcast", content="two"),
    "",
    line("incoming", **{"from": "Ann"}, to="bob", content="three", id=9, sent="…", ref="r3"),
    line("incoming", **{"from": "bob"}, to="ann", content="not mine", id=10),
    line("incoming_broadcast", **{"from": "ann"}, content="four", id=11, since=3),
)


async def test_what_one_wrote_is_sent_and_what_others_wrote_is_not() -> None:
    server = FakeServer()

    summary, reports = await send(server, *FILE)

    assert [(to, text) for to, text, _ in server.log] == [
        ("bob", "one"),
        ("*", "two"),
        ("*", "two"),
        ("*", "two"),
        ("bob", "three"),
        ("*", "four"),
    ]
    assert str(summary) == "6 delivered, 1 written by others"
    assert summary.exit_code == Exit.OK
    assert reports.results[1] == Imported(1, "r1", 1, duplicate=False)
    assert (reports.results[5], reports.results[7]) == (None, None)
    assert sorted(reports.results) == list(range(1, 9))


async def test_a_second_time_nothing_is_delivered() -> None:
    server = FakeServer()
    await send(server, *FILE)
    log = list(server.log)

    summary, _ = await send(server, *FILE)

    assert server.log == log
    assert str(summary) == "0 delivered, 6 already there, 1 written by others"
    assert summary.exit_code == Exit.OK


async def test_a_file_that_has_grown_delivers_what_is_new() -> None:
    server = FakeServer()
    await send(server, *FILE)

    summary, _ = await send(server, line("outgoing_broadcast", content="new"), *FILE, FILE[2])

    assert [text for _, text, _ in server.log[6:]] == ["new", "two"]
    assert summary.sent == 2


async def test_lines_that_fail_are_reported_and_the_others_go_on() -> None:
    server = FakeServer()

    summary, reports = await send(
        server,
        line("outgoing", to="nobody", content="hi"),
        "no JSON",
        line("outgoing", to="silence", content="hi"),
        line("welcome"),
        line("incoming", **{"from": "ann"}, content="to whom?"),
        line("outgoing_broadcast", content="hi", ref="x" * 65),
        line("outgoing_broadcast", content="hi", ref=""),
        line("outgoing_broadcast", content="at last"),
    )

    assert [text for _, text, _ in server.log] == ["at last"]
    assert (summary.failed, summary.exit_code) == (7, Exit.PARTIAL)
    assert str(reports.results[1]) == "there is no nobody here"
    assert str(reports.results[2]).startswith("not a message: ")
    assert str(reports.results[5]) == "not a message: the field to is missing"


@pytest.mark.parametrize(
    ("to", "code"), [("nobody", Exit.REFUSED), ("silence", Exit.TIMEOUT), (5, Exit.USAGE)]
)
async def test_where_every_line_failed_the_code_says_why(to: object, code: Exit) -> None:
    summary, _ = await send(FakeServer(), line("outgoing", to=to, content="hi"))

    assert summary.exit_code == code


async def test_what_ends_the_connection_ends_the_import() -> None:
    server = FakeServer()

    with pytest.raises(CannotConnectError, match="was lost"):
        await send(server, FILE[0], line("outgoing", to="abyss", content="hi"))

    assert len(server.log) == 1


async def test_no_more_is_on_its_way_than_a_few_hundred_messages() -> None:
    server = FakeServer()
    server.may_answer.clear()
    read = 0

    async def endless() -> AsyncIterator[str]:
        nonlocal read
        while read < 1000:
            read += 1
            yield line("outgoing_broadcast", content="x")

    summary = ImportSummary()
    sending = asyncio.create_task(
        send_file(endless(), ImportReader("ann"), server.submit, summary, ReportLog())
    )
    await until(lambda: server.most_in_flight >= MAX_IN_FLIGHT)
    assert read == MAX_IN_FLIGHT + 1
    server.may_answer.set()
    await sending

    assert summary.sent == 1000
    assert server.most_in_flight == MAX_IN_FLIGHT


def test_a_ref_is_made_from_what_the_line_says_and_not_from_how_it_is_written() -> None:
    spaced = ImportReader("ann").read('{ "code": "outgoing", "content": "hi", "to": "bob" }')
    compact = ImportReader("ann").read('{"code":"outgoing","to":"bob","content":"hi"}')

    assert spaced == compact
    assert isinstance(compact, Outgoing)
    assert len(str(compact.ref).encode()) <= 64


def test_the_same_message_twice_in_a_file_is_two_messages() -> None:
    reader = ImportReader("ann")
    text = line("outgoing_broadcast", content="hi")

    first, second = reader.read(text), reader.read(text)

    assert isinstance(first, OutgoingBroadcast)
    assert isinstance(second, OutgoingBroadcast)
    assert first.ref != second.ref


def test_what_is_no_message_is_a_mistake_of_the_file() -> None:
    with pytest.raises(UsageError, match="not a message"):
        ImportReader("ann").read("[]")
