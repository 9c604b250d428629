"""``chatctl chat`` through pipes, with a real daemon; its arguments."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from chatctl.__main__ import main
from tests.support.chatctl_process import begin, finish, run
from tests.support.daemon_process import Daemon, RawClient
from tests.support.processes import kill


@pytest.fixture
def ann(daemon: Daemon, bob: RawClient) -> Iterator[subprocess.Popen[str]]:
    """A chat whose input stays open, and who has said that she is there."""
    chat = begin("chat", "ann", daemon=daemon, stdin=subprocess.PIPE)
    type_line(chat, "here")
    assert bob.receive()["content"] == "here"
    yield chat
    kill(chat)


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
    assert finish(ann).code == 0


def test_events_come_as_json(daemon: Daemon, bob: RawClient) -> None:
    chat = begin("chat", "xena", "--json", daemon=daemon, stdin=subprocess.PIPE)
    assert chat.stdout is not None
    welcome = json.loads(chat.stdout.readline())
    assert welcome == {"code": "welcome", "name": "xena", "users": ["bob", "xena"]}
    bob.send("outgoing", to="xena", content="hi")
    message = json.loads(chat.stdout.readline())
    assert (message["code"], message["from"], message["content"]) == ("incoming", "bob", "hi")
    assert {"id", "sent", "since"} <= message.keys()
    assert finish(chat).code == 0


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
    assert (
        result.err
        == "chatctl: the name bob is taken; try bob-2, or add --suggested to take a free one\n"
    )


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
