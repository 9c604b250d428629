"""A conversation without a terminal, with a client that does only what the test says."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable

import pytest

from chatctl.chat.pipe import JsonOutput, PlainOutput, run_conversation
from chatctl.client import ChatMessage, RefusedError
from chatctl.client.events import Event, Receipt, Reconnected, Reconnecting
from chatctl.errors import AnswerTimeoutError, PartialError
from common.messages.base import Error
from common.messages.chat import (
    Incoming,
    IncomingBroadcast,
    Joined,
    Outgoing,
    Welcome,
)


class FakeClient:
    """Acknowledges what is sent when the test lets it, and tells the events it was given."""

    def __init__(self, *events: Event) -> None:
        self.sent: list[tuple[str, str]] = []
        self.has_quit = False
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self._events = events
        self._ended = asyncio.Event()

    async def who(self) -> list[str]:
        return ["ann", "bob"]

    async def submit(self, message: ChatMessage) -> Receipt:
        to = message.to if isinstance(message, Outgoing) else "*"
        self.sent.append((to, message.content))
        number = len(self.sent)
        await self.may_answer.wait()
        if to == "nobody":
            raise RefusedError(Error("no_such_user", "there is no nobody here"))
        if to == "silence":
            raise AnswerTimeoutError("no answer came within 10 s")
        return Receipt(number, 0.00041)

    def events(self) -> AsyncIterator[Event]:
        raise NotImplementedError("only a screen needs to know what was drawn")

    def seen(self, *events: Event) -> None:
        raise NotImplementedError("asking for the next event says it")

    async def quit(self) -> None:
        self.has_quit = True
        self._ended.set()

    async def __aiter__(self) -> AsyncIterator[Event]:
        for event in self._events:
            yield event
        await self._ended.wait()


async def stream(lines: Iterable[str]) -> AsyncIterator[str]:
    for line in lines:
        yield line


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what it waits for are other tasks' turns
            await asyncio.sleep(0)


async def test_each_line_is_sent_where_it_says() -> None:
    client = FakeClient()
    await run_conversation(client, stream(["hi", "bob|you", "*|all", "", "  "]), PlainOutput())
    assert client.sent == [("*", "hi"), ("bob", "you"), ("*", "all")]
    assert client.has_quit


async def test_no_line_waits_for_the_one_before_it_and_the_end_waits_for_all() -> None:
    client = FakeClient()
    client.may_answer.clear()
    conversation = asyncio.create_task(
        run_conversation(client, stream(map(str, range(100))), PlainOutput())
    )
    await until(lambda: len(client.sent) == 100)
    assert not conversation.done()
    assert not client.has_quit
    client.may_answer.set()
    await conversation
    assert client.has_quit


async def test_what_is_on_its_way_is_bounded() -> None:
    client = FakeClient()
    client.may_answer.clear()
    read = 0

    async def endless() -> AsyncIterator[str]:
        nonlocal read
        while read < 1000:
            read += 1
            yield "x"

    conversation = asyncio.create_task(run_conversation(client, endless(), PlainOutput()))
    await until(lambda: read > 256)
    for _ in range(10):
        await asyncio.sleep(0)
    assert read == 257
    assert len(client.sent) == 256
    client.may_answer.set()
    await conversation
    assert len(client.sent) == 1000


async def test_quit_is_the_end_of_the_input() -> None:
    client = FakeClient()
    await run_conversation(client, stream(["hi", "quit", "never"]), PlainOutput())
    assert client.sent == [("*", "hi")]


async def test_messages_are_one_line_each_on_stdout_and_the_rest_goes_to_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    client = FakeClient(
        IncomingBroadcast("bob", "two\nlines\x1b[2J", id=1, since=3),
        Incoming("carla", "hi", id=2, since=70),
        Reconnecting("the server stops", 1, 0.2),
        Reconnected(2.5),
        Joined("dave"),
    )
    await run_conversation(client, stream(["who"]), PlainOutput())
    out, err = capsys.readouterr()
    assert sorted(out.splitlines()) == sorted(
        [
            "3 bob < two\\nlines\\x1b[2J",
            "70 carla (to you) < hi",
            "current users:",
            "ann",
            "bob",
            "",
        ]
    )
    assert err.splitlines() == [
        "chatctl: the server stops; trying again in 200ms",
        "chatctl: reconnected after 2.5s",
    ]


async def test_a_line_that_fails_is_named_and_the_others_go_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    client = FakeClient()
    with pytest.raises(PartialError, match="2 of 4 lines were not acknowledged") as partial:
        await run_conversation(
            client, stream(["hi", "nobody|x", "", "silence|x", "bob|x"]), PlainOutput()
        )
    assert partial.value.exit_code == 7
    assert [to for to, _ in client.sent] == ["*", "nobody", "silence", "bob"]
    assert capsys.readouterr().err.splitlines() == [
        "chatctl: line 2: there is no nobody here",
        "chatctl: line 4: no answer came within 10 s",
    ]


async def test_what_ends_the_client_ends_the_conversation() -> None:
    class Replaced(FakeClient):
        async def __aiter__(self) -> AsyncIterator[Event]:
            yield Joined("bob")
            raise RefusedError(Error("replaced", "you signed in on another connection"))

    async def silence() -> AsyncIterator[str]:
        await asyncio.Event().wait()
        yield ""

    with pytest.raises(RefusedError, match="another connection"):
        await run_conversation(Replaced(), silence(), PlainOutput())


async def test_every_event_is_a_json_object_with_a_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    client = FakeClient(
        IncomingBroadcast("bob", "a\nb", id=1, since=3, sent="2026-11-21T10:00:00.000000Z"),
        Joined("dave"),
        Reconnecting("gone", 1, 0.25),
        Reconnected(2.5),
    )
    output = JsonOutput()
    output.on_welcome(Welcome(name="ann", token="a secret of sixteen"), ["ann"])
    with pytest.raises(PartialError):
        await run_conversation(
            client, stream(["bob|hi", "hey", "who", "silence|x", "nobody|x"]), output
        )
    out, err = capsys.readouterr()
    assert err == ""
    records = [json.loads(line) for line in out.splitlines()]
    assert records[0] == {"code": "welcome", "name": "ann", "users": ["ann"]}
    assert {record["code"]: record for record in records if "line" not in record} == {
        "welcome": records[0],
        "incoming_broadcast": {
            "code": "incoming_broadcast",
            "from": "bob",
            "content": "a\nb",
            "id": 1,
            "sent": "2026-11-21T10:00:00.000000Z",
            "since": 3,
        },
        "joined": {"code": "joined", "name": "dave"},
        "reconnecting": {"code": "reconnecting", "reason": "gone", "attempt": 1, "delay": 0.25},
        "reconnected": {"code": "reconnected", "away": 2.5},
    }
    acknowledged = {"duplicate": False, "round_trip_ms": 0.41}
    assert {record["line"]: record for record in records if "line" in record} == {
        1: {"code": "ack", "line": 1, "to": "bob", "id": 1, **acknowledged},
        2: {"code": "ack", "line": 2, "to": "*", "id": 2, **acknowledged},
        3: {"code": "users", "line": 3, "users": ["ann", "bob"]},
        4: {
            "code": "error",
            "line": 4,
            "reason": "timeout",
            "detail": "no answer came within 10 s",
        },
        5: {
            "code": "error",
            "line": 5,
            "reason": "no_such_user",
            "detail": "there is no nobody here",
        },
    }
