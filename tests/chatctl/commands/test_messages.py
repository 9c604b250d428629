"""The one-shot commands against the real daemon."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.chatctl_process import CommandResult, begin, finish, run, token_in
from tests.support.daemon_process import Daemon, RawClient, logged_in


@pytest.fixture
def ann(daemon: Daemon) -> Iterator[RawClient]:
    """Somebody who is there for the time of a test, in the original protocol."""
    with logged_in(daemon.address, "ann") as wire:
        yield wire


def listen(daemon: Daemon, *arguments: str) -> subprocess.Popen[str]:
    """Start a `tail` and wait until it is there."""
    tail = begin("tail", *arguments, daemon=daemon)
    assert tail.stderr is not None
    ready = tail.stderr.readline()
    while "waiting for messages" not in ready:
        assert ready, "tail ended before it listened"
        ready = tail.stderr.readline()
    return tail


def strip_since(line: str) -> str:
    """Return a line without the seconds that its author has been there."""
    since, _, rest = line.partition(" ")
    assert since.isdecimal()
    return rest


def test_who_prints_those_present_but_for_the_one_who_asks(daemon: Daemon, ann: RawClient) -> None:
    assert run("who", daemon=daemon) == CommandResult(0, "ann\n", "")
    assert run("who", "--json", daemon=daemon).out == '{"name":"ann"}\n'


def test_one_and_the_same_name_serves_command_after_command(daemon: Daemon, ann: RawClient) -> None:
    for _ in range(2):
        assert run("send", "ann", "hi", "--as", "script", daemon=daemon) == CommandResult(0, "", "")
        assert ann.receive() == {"code": "incoming", "from": "script", "content": "hi"}


def test_send_joins_its_words(daemon: Daemon, ann: RawClient) -> None:
    assert run("send", "ann", "lunch", "at", "noon?", daemon=daemon).code == 0

    assert ann.receive()["content"] == "lunch at noon?"


def test_a_star_is_everyone(daemon: Daemon, ann: RawClient) -> None:
    sent = run("send", "*", "hey", "--as", "bob", "--json", daemon=daemon)

    assert ann.receive() == {"code": "incoming_broadcast", "from": "bob", "content": "hey"}
    receipt = json.loads(sent.out)
    assert (receipt["to"], receipt["duplicate"]) == ("*", False)
    assert receipt["id"] > 0
    assert receipt["round_trip_ms"] > 0


def test_lines_of_standard_input_are_messages_in_order(daemon: Daemon, ann: RawClient) -> None:
    lines = [f"line {number} ü" for number in range(1000)]

    sent = run("send", "ann", "-", "--json", daemon=daemon, stdin="\n".join([*lines, "", "end"]))

    assert [ann.receive()["content"] for _ in range(1001)] == [*lines, "end"]
    ids = [json.loads(line)["id"] for line in sent.out.splitlines()]
    assert len(ids) == 1001
    assert ids == sorted(ids)


def test_who_is_not_there_cannot_be_sent_to(daemon: Daemon) -> None:
    refused = run("send", "nobody", "hi", daemon=daemon)

    assert (refused.code, refused.out) == (4, "")
    assert refused.err.startswith('chatctl: nobody called "nobody" is known here')
    assert run("send", "nobody", "-", daemon=daemon, stdin="a\nb\n").code == 4


def test_where_some_lines_were_sent_and_one_was_not_it_says_which(
    daemon: Daemon, ann: RawClient
) -> None:
    too_long = "x" * 70_000

    partial = run("send", "ann", "-", daemon=daemon, stdin=f"one\n\n{too_long}\n")

    assert partial.code == 7
    assert "line 3: message too long: 700" in partial.err
    assert "; 1 sent before it" in partial.err


def test_input_that_is_no_text_is_named(daemon: Daemon) -> None:
    refused = run("send", "*", "-", daemon=daemon, stdin=b"fine\n\xff\xfe\n")

    assert refused.code == 2
    assert "standard input, line 2: not UTF-8" in refused.err


def test_a_taken_name_is_replaced_by_a_free_one_and_that_is_said(
    daemon: Daemon, ann: RawClient
) -> None:
    for _ in range(2):
        sent = run("send", "ann", "hi", "--as", "ann", daemon=daemon)

        assert sent == CommandResult(0, "", "chatctl: ann is taken, signed in as ann-2\n")
        assert ann.receive()["from"] == "ann-2"


def test_a_name_that_is_not_allowed_is_refused(daemon: Daemon) -> None:
    refused = run("who", "--as", "a|b", daemon=daemon)

    assert refused.code == 4
    assert "|" in refused.err


def test_tail_prints_what_comes_and_ends_after_the_number_asked_for(
    daemon: Daemon, ann: RawClient
) -> None:
    tail = listen(daemon, "--as", "logger", "-c", "2")

    ann.send("outgoing_broadcast", content="to all\x1b[31m")
    ann.send("outgoing", to="logger", content="to you")

    result = finish(tail)
    assert result.code == 0
    lines = [strip_since(line) for line in result.out.splitlines()]
    assert lines == ["ann < to all\\x1b[31m", "ann (to you) < to you"]


def test_tail_prints_json_with_all_that_is_known(daemon: Daemon, ann: RawClient) -> None:
    tail = listen(daemon, "--json", "-c", "1")

    ann.send("outgoing_broadcast", content="hi")

    message = json.loads(finish(tail).out)
    assert (message["code"], message["from"], message["content"]) == (
        "incoming_broadcast",
        "ann",
        "hi",
    )
    assert {"id", "sent", "since"} <= message.keys()


def test_a_second_command_of_the_same_person_does_not_disconnect_the_first(
    daemon: Daemon,
) -> None:
    tail = listen(daemon, "--as", "both", "-c", "1")

    sent = run("send", "both", "hi", "--as", "both", daemon=daemon)

    assert sent.err == "chatctl: both is taken, signed in as both-2\n"
    assert strip_since(finish(tail).out) == "both-2 (to you) < hi\n"


def test_tail_ends_quietly_when_nobody_reads_it_any_more(daemon: Daemon, ann: RawClient) -> None:
    tail = listen(daemon)
    assert tail.stdout is not None
    assert tail.stderr is not None

    ann.send("outgoing_broadcast", content="one")
    assert strip_since(tail.stdout.readline()) == "ann < one\n"
    tail.stdout.close()
    ann.send("outgoing_broadcast", content="two")

    assert tail.wait(30) == 141
    assert tail.stderr.read() == ""
    tail.stderr.close()


def test_an_interrupt_ends_it_with_130_and_no_traceback(daemon: Daemon) -> None:
    tail = listen(daemon)

    tail.send_signal(signal.SIGINT)

    assert finish(tail) == CommandResult(130, "", "")


def test_tail_ends_when_the_same_token_signs_in_elsewhere(daemon: Daemon, home: Path) -> None:
    tail = listen(daemon, "--as", "wanted")
    with RawClient(daemon.address) as elsewhere:
        elsewhere.hello("wanted", version=1, token=token_in(home / "state"))
        result = finish(tail)

    assert result.code == 4
    assert "logged in on another connection" in result.err


def test_ping_prints_each_answer_and_a_summary(daemon: Daemon) -> None:
    pinged = run("ping", "-c", "3", "-i", "0", daemon=daemon)

    lines = pinged.out.splitlines()
    assert pinged.code == 0
    assert [line.split()[0] for line in lines[:3]] == ["seq=1", "seq=2", "seq=3"]
    assert lines[3] == "3 sent, 3 answered, 0% lost"
    assert lines[4].startswith("round trip min/mean/median/p99/max = ")
    assert lines[5].startswith("clock offset ")


def test_ping_as_json_gives_times_in_order(daemon: Daemon) -> None:
    pinged = run("ping", "-c", "5", "-i", "1ms", "--json", daemon=daemon)

    *replies, summary = (json.loads(line) for line in pinged.out.splitlines())
    assert [reply["seq"] for reply in replies] == [1, 2, 3, 4, 5]
    assert summary["sent"] == summary["answered"] == 5
    assert summary["min_ms"] == min(reply["time_ms"] for reply in replies)
    assert summary["min_ms"] <= summary["median_ms"] <= summary["p99_ms"] <= summary["max_ms"]
    assert abs(summary["clock_offset_ms"]) <= summary["clock_error_ms"] + 0.01


def test_an_interrupted_ping_still_prints_its_summary(daemon: Daemon) -> None:
    ping = begin("ping", "-i", "1ms", daemon=daemon)
    assert ping.stdout is not None
    assert ping.stdout.readline().startswith("seq=1 ")

    ping.send_signal(signal.SIGINT)

    result = finish(ping)
    assert result.code == 130
    assert "round trip min/mean" in result.out
    assert "Traceback" not in result.err


def test_echo_says_it_back(daemon: Daemon) -> None:
    assert run("echo", "hello", "there", daemon=daemon) == CommandResult(0, "hello there\n", "")
    assert run("echo", "hi", "--json", daemon=daemon).out == '{"content":"hi"}\n'
