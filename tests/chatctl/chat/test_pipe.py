"""A conversation without a terminal, with a client that does only what the test says.

``chatctl chat`` through pipes, with the real daemon.
What a typed or pasted text asks for.
The words of ``chatctl chat``.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatctl.__main__ import main
from chatctl.chat.input import parse_input
from chatctl.chat.pipe import JsonOutput, PlainOutput, run_conversation
from chatctl.client.events import Event, Receipt, Reconnected, Reconnecting
from chatctl.errors import AnswerTimeoutError, PartialError, RefusedError
from common.messages.base import Error
from common.messages.chat import (
    Incoming,
    IncomingBroadcast,
    Joined,
    Outgoing,
    OutgoingBroadcast,
    Quit,
    Welcome,
    Who,
)
from tests.support.chatctl_process import TIMEOUT, run
from tests.support.daemon_process import Daemon, RawClient, logged_in


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

    async def send(self, to: str, text: str) -> Receipt:
        self.sent.append((to, text))
        number = len(self.sent)
        await self.may_answer.wait()
        if to == "nobody":
            raise RefusedError(Error("no_such_user", "there is no nobody here"))
        if to == "silence":
            raise AnswerTimeoutError("no answer came within 10 s")
        return Receipt(number, 0.00041)

    async def broadcast(self, text: str) -> Receipt:
        return await self.send("*", text)

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
        "chatctl: connected again after 2.5s",
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


@pytest.fixture
def bob(daemon: Daemon) -> Iterator[RawClient]:
    """Somebody who is there for the time of a test, in the original protocol."""
    with logged_in(daemon.address, "bob") as wire:
        yield wire


@pytest.fixture
def ann(daemon: Daemon, bob: RawClient) -> Iterator[subprocess.Popen[str]]:
    """A chat whose input stays open, and who has said that she is there."""
    command = [sys.executable, "-m", "chatctl", "chat", daemon.host, str(daemon.port), "ann"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1) as chat:
        type_line(chat, "here")
        assert bob.receive()["content"] == "here"
        yield chat
        chat.kill()


def type_line(chat: subprocess.Popen[str], line: str) -> None:
    assert chat.stdin is not None
    chat.stdin.write(f"{line}\n")


def see_line(chat: subprocess.Popen[str]) -> str:
    assert chat.stdout is not None
    return chat.stdout.readline()


def test_lines_are_messages_and_stdout_has_nothing_but_data(daemon: Daemon, bob: RawClient) -> None:
    result = run("chat", "zoe", daemon=daemon, stdin="bob|grüße\nhey\n\n*|all\nwho\n")

    assert (result.code, result.out) == (0, "current users:\nbob\nzoe\n\n")
    assert result.err == (
        f"connecting to server at {daemon.host}, {daemon.port}\ncurrent users:\nbob\nzoe\n\n"
    )
    assert [bob.receive() for _ in range(3)] == [
        {"code": "incoming", "from": "zoe", "content": "grüße"},
        {"code": "incoming_broadcast", "from": "zoe", "content": "hey"},
        {"code": "incoming_broadcast", "from": "zoe", "content": "all"},
    ]


def test_two_thousand_lines_arrive_in_order_before_it_ends(daemon: Daemon, bob: RawClient) -> None:
    lines = [f"line {number}" for number in range(2000)]

    result = run("chat", "yves", "--json", daemon=daemon, stdin="bob|" + "\nbob|".join(lines))

    assert result.code == 0
    acks = [json.loads(line) for line in result.out.splitlines() if '"ack"' in line]
    assert [ack["line"] for ack in acks] == list(range(1, 2001))
    assert [bob.receive()["content"] for _ in lines] == lines


def test_what_comes_is_one_line_each_until_quit(bob: RawClient, ann: subprocess.Popen[str]) -> None:
    bob.send("outgoing_broadcast", content="two\nlines\x1b[2J")
    bob.send("outgoing", to="ann", content="hi")

    seconds, _, rest = see_line(ann).partition(" ")
    assert seconds.isdecimal()
    assert rest == "bob < two\\nlines\\x1b[2J\n"
    assert see_line(ann).endswith(" bob (to you) < hi\n")
    type_line(ann, "quit")
    assert ann.wait(TIMEOUT) == 0


def test_events_come_as_json(daemon: Daemon, bob: RawClient) -> None:
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "chatctl", "chat", "xena", "--json"]
    server = {**os.environ, "CHATCTL_SERVER": f"{daemon.host}:{daemon.port}"}
    with subprocess.Popen(command, stdin=reading, stdout=subprocess.PIPE, env=server) as chat:
        os.close(reading)
        assert chat.stdout is not None
        welcome = json.loads(chat.stdout.readline())
        assert welcome == {"code": "welcome", "name": "xena", "users": ["bob", "xena"]}
        bob.send("outgoing", to="xena", content="hi")
        message = json.loads(chat.stdout.readline())
        assert (message["code"], message["from"], message["content"]) == ("incoming", "bob", "hi")
        assert {"id", "sent", "since"} <= message.keys()
        os.close(writing)
        assert chat.wait(TIMEOUT) == 0


def test_a_line_that_was_refused_is_reported_at_the_end_with_code_7(
    daemon: Daemon, bob: RawClient
) -> None:
    result = run("chat", "willi", daemon=daemon, stdin="nobody|hi\nbob|hi\n")

    assert (result.code, result.out) == (7, "")
    assert result.err.splitlines()[-2:] == [
        'chatctl: line 1: nobody called "nobody" is known here; `who` lists who is present',
        "chatctl: 1 of 2 lines were not acknowledged",
    ]
    assert bob.receive()["content"] == "hi"


def test_a_taken_name_is_one_line_with_the_suggestion_and_code_4(
    daemon: Daemon, bob: RawClient
) -> None:
    result = run("chat", "bob", "--json", daemon=daemon, stdin="hi\n")

    assert (result.code, result.out) == (4, "")
    assert result.err == "chatctl: the name bob is taken; use bob-2, or --suggested\n"


def test_the_suggestion_is_taken_where_that_was_asked_for(daemon: Daemon, bob: RawClient) -> None:
    result = run("chat", "bob", "--suggested", daemon=daemon, stdin="bob|hi\n")

    assert result.code == 0
    assert "chatctl: bob is taken, signed in as bob-2\n" in result.err
    assert bob.receive() == {"code": "incoming", "from": "bob-2", "content": "hi"}


def test_without_a_name_one_is_oneself(
    daemon: Daemon, bob: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATCTL_NAME", "vera")

    assert run("chat", daemon=daemon, stdin="bob|hi\n").code == 0

    assert bob.receive()["from"] == "vera"


def test_input_that_is_no_text_is_reported_with_code_2(daemon: Daemon) -> None:
    result = run("chat", "uwe", daemon=daemon, stdin=b"fine\nb\xe4d\n")

    assert result.code == 2
    assert result.err.endswith("chatctl: standard input, line 2: not UTF-8; convert it first\n")


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("hello", OutgoingBroadcast("hello")),
        ("*|hello", OutgoingBroadcast("hello")),
        ("bob|hello", Outgoing("bob", "hello")),
        ("bob|a|b", Outgoing("bob", "a|b")),
        ("who", Who()),
        ("quit", Quit()),
        ("quit\n", Quit()),
        ("who is here?", OutgoingBroadcast("who is here?")),
        ("", None),
        (" \n\t\n", None),
    ],
)
def test_a_line_is_read_by_the_grammar_of_the_text_format(text: str, parsed: object) -> None:
    assert parse_input(text) == parsed


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("bob|one\ntwo\n", Outgoing("bob", "one\ntwo")),
        ("bob|\none\n  two", Outgoing("bob", "one\n  two")),
        ("*|one\nbob|two", OutgoingBroadcast("one\nbob|two")),
        ("one\nquit", OutgoingBroadcast("one\nquit")),
        ("who\nare you", OutgoingBroadcast("who\nare you")),
        ("\none\n\ntwo\n", OutgoingBroadcast("one\n\ntwo")),
    ],
)
def test_pasted_lines_are_one_message_to_whom_the_first_line_says(
    text: str, parsed: object
) -> None:
    assert parse_input(text) == parsed


@given(st.text())
def test_what_follows_a_name_never_goes_to_everyone(rest: str) -> None:
    parsed = parse_input(f"bob|{rest}")
    assert isinstance(parsed, Outgoing)
    assert parsed.to == "bob"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["localhost", "port", "ann"], "'port' is not a port: write chat HOST PORT NAME"),
        (["localhost", "0", "ann"], "'0' is not a port"),
        (["localhost", "65536", "ann"], "'65536' is not a port"),
        (["localhost", "٣٣", "ann"], "'٣٣' is not a port"),
        (["localhost", "5555"], "write chat NAME or chat HOST PORT NAME"),
        (["localhost", "5555", "ann", "b"], "write chat NAME or chat HOST PORT NAME"),
    ],
)
def test_words_that_make_no_sense_are_one_line_with_code_2(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["chat", *words]) == 2
    assert capsys.readouterr().err.startswith(f"chatctl: {complaint}")
