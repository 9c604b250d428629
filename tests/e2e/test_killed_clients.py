"""Clients that end without a word, and what the next one under the same name makes good."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chatctl.running import begin, run
from tests.e2e.daemon import Daemon
from tests.e2e.terminals import PATIENCE, Desk
from tests.e2e.valve import Valve
from tests.e2e.wire import Wire

Start = Callable[..., Daemon]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for what chatctl keeps."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "state"


@pytest.fixture
def daemon(start: Start) -> Daemon:
    return start()


@pytest.fixture
def bob(daemon: Daemon) -> Iterator[Wire]:
    """Somebody who is there for the time of a test, in the original protocol."""
    with Wire(daemon.address) as wire:
        wire.hello("bob")
        yield wire


@pytest.fixture
def valve(daemon: Daemon) -> Iterator[Valve]:
    with Valve(daemon) as opened:
        yield opened


def kill(command: subprocess.Popen[str]) -> None:
    command.kill()
    command.communicate(timeout=PATIENCE)


def place_in(state: Path) -> int:
    """Return the last id that the only name with a ledger is done with."""
    (ledger,) = state.rglob("*.ledger")
    rows = [json.loads(row) for row in ledger.read_text().splitlines()]
    return max(int(row["last"]) for row in rows if row["code"] == "place")


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_message_whose_ack_was_lost_with_the_client_is_delivered_once(
    daemon: Daemon, valve: Valve, bob: Wire
) -> None:
    valve.withheld = {"ack"}
    sending = begin("send", "bob", "once", "--as", "ann", daemon=valve)
    valve.wait()
    kill(sending)
    assert bob.hear()["content"] == "once"

    valve.withheld = set()
    after = run("send", "bob", "then", "--as", "ann", daemon=valve)

    assert after.code == 0
    assert after.err == (
        "chatctl: the message to bob, “once”, of before was not acknowledged; "
        "it had arrived before\n"
    )
    assert bob.hear()["content"] == "then"
    assert run("who", "--as", "ann", daemon=valve).err == ""


def test_a_message_that_was_lost_with_the_client_is_delivered_before_the_next_one(
    daemon: Daemon, valve: Valve, bob: Wire
) -> None:
    valve.withheld = {"outgoing"}
    sending = begin("send", "bob", "lost", "--as", "ann", daemon=valve)
    valve.wait()
    kill(sending)

    valve.withheld = set()
    assert run("send", "bob", "then", "--as", "ann", daemon=valve).code == 0

    assert [bob.hear()["content"] for _ in range(2)] == ["lost", "then"]


def test_what_a_killed_chat_read_from_a_pipe_is_delivered_once_by_the_next_one(
    daemon: Daemon, valve: Valve, bob: Wire
) -> None:
    valve.withheld = {"ack"}
    lines = [f"line {number}" for number in range(20)]
    reading, writing = os.pipe()
    server = {**os.environ, "CHATCTL_SERVER": f"{valve.host}:{valve.port}"}
    command = [sys.executable, "-m", "chatctl", "chat", "ann"]
    with subprocess.Popen(command, stdin=reading, stdout=subprocess.DEVNULL, env=server) as chat:
        os.close(reading)
        os.write(writing, "".join(f"bob|{line}\n" for line in lines).encode())
        for _ in lines:
            valve.wait()
        chat.kill()
    os.close(writing)

    valve.withheld = set()
    again = run("chat", "ann", "--json", daemon=valve, stdin="bob|the end\n")

    told = [json.loads(line) for line in again.out.splitlines()]
    resent = [record for record in told if record["code"] == "delivered"]
    assert [record["message"]["content"] for record in resent] == lines
    assert all(record["duplicate"] for record in resent)
    assert [bob.hear()["content"] for _ in range(21)] == [*lines, "the end"]


def test_a_message_that_is_refused_at_last_is_told_once(daemon: Daemon, valve: Valve) -> None:
    valve.withheld = {"outgoing"}
    sending = begin("send", "zoe", "hi", "--as", "ann", daemon=valve)
    valve.wait()
    kill(sending)

    valve.withheld = set()
    refused = "the message to zoe, “hi”, of before was refused: there is no zoe here"
    assert refused in run("who", "--as", "ann", daemon=valve).err
    assert run("who", "--as", "ann", daemon=valve).err == ""


def test_who_gives_up_is_told_that_the_message_is_kept(valve: Valve, bob: Wire) -> None:
    valve.withheld = {"ack"}
    sent = run("send", "bob", "hi", "--as", "ann", "--timeout", "2s", daemon=valve)

    assert sent.code == 6
    assert "chatctl: 1 message is not acknowledged, and sent when ann is back\n" in sent.err


def test_tail_goes_on_after_the_last_message_that_it_printed(
    daemon: Daemon, bob: Wire, state: Path
) -> None:
    first = begin("tail", "--as", "logger", "--json", daemon=daemon)
    assert first.stdout is not None
    assert first.stderr is not None
    assert "listening" in first.stderr.readline()
    for number in range(3):
        bob.say("outgoing_broadcast", content=f"m{number}")
    assert [json.loads(first.stdout.readline())["content"] for _ in range(3)] == ["m0", "m1", "m2"]
    wait_until(lambda: place_in(state) == 3)
    kill(first)

    bob.say("outgoing_broadcast", content="m3")
    bob.say("outgoing", to="logger", content="m4")
    assert bob.ask("ping")["code"] == "pong"
    second = run("tail", "--as", "logger", "--json", "-c", "1", daemon=daemon)
    third = run("tail", "--as", "logger", "--json", "-c", "1", daemon=daemon)

    assert [json.loads(tail.out)["content"] for tail in (second, third)] == ["m3", "m4"]


def test_however_often_tail_is_killed_nothing_is_missing_and_only_the_newest_comes_again(
    daemon: Daemon, bob: Wire, tmp_path: Path
) -> None:
    total, printed, kills = 400, list[int](), 0
    draw = random.Random(7)
    run("who", "--as", "logger", daemon=daemon)  # from here on nothing is missed
    for number in range(total):
        bob.say("outgoing_broadcast", content=str(number))
    while not printed or printed[-1] < total:
        output = tmp_path / f"{kills}.ndjson"
        enough = min(draw.randint(1, 120), total - (printed[-1] if printed else 0))
        with output.open("wb") as file:
            tail = begin("tail", "--as", "logger", "--json", daemon=daemon, stdout=file)
            wait_until(lambda: output.read_bytes().count(b"\n") >= enough)  # noqa: B023
            kill(tail)
        kills += 1
        whole, _, _torn = output.read_text().rpartition("\n")
        printed += [json.loads(line)["id"] for line in whole.splitlines()]

    assert printed == sorted(printed)
    assert sorted(set(printed)) == list(range(1, total + 1))
    assert len(printed) - total <= kills


def test_a_chat_that_is_killed_shows_the_next_time_what_came_meanwhile(
    daemon: Daemon, bob: Wire, desk: Desk, state: Path
) -> None:
    ann = desk.chat(daemon, "ann")
    bob.say("outgoing", to="ann", content="shown")
    ann.see("bob (to you): shown")
    wait_until(lambda: place_in(state) == 1)
    ann.kill()

    bob.say("outgoing", to="ann", content="missed")
    bob.say("outgoing_broadcast", content="missed too")
    assert bob.ask("ping")["code"] == "pong"
    again = desk.chat(daemon, "ann")
    again.see("bob (to you): missed")
    again.see("bob: missed too")
    again.enter("quit")
    assert again.end() == 0
    assert "shown" not in again.text


def test_what_was_typed_into_a_chat_that_was_killed_goes_to_a_server_that_started_over(
    start: Start, desk: Desk, reserved_port: int
) -> None:
    port = str(reserved_port)
    daemon = start("--log", "memory", "--port", port)
    ann = desk.chat(daemon, "ann")
    daemon.stop()
    ann.see("; reconnecting\n")
    ann.enter("are you there?")
    ann.see("you: are you there?")
    ann.kill()

    with Wire(start("--log", "memory", "--port", port).address) as bob:
        bob.hello("bob")
        again = desk.chat(daemon, "ann")
        again.see("* the server's log started over: messages from before it may be missing")
        again.see("“are you there?”, of before was not acknowledged; it has arrived now")
        assert bob.hear()["content"] == "are you there?"
        again.enter("quit")
        assert again.end() == 0


def test_a_ledger_that_cannot_be_read_is_one_clear_line(
    daemon: Daemon, bob: Wire, state: Path
) -> None:
    assert run("send", "bob", "one", "--as", "ann", daemon=daemon).code == 0
    (ledger,) = state.rglob("*.ledger")
    ledger.write_bytes(os.urandom(64) + b"\n")

    sent = run("send", "bob", "two", "--as", "ann", daemon=daemon)

    assert sent.code == 0
    assert sent.err.startswith("chatctl: what was kept for ann cannot be read (")
    assert sent.err.count("\n") == 1
    assert [bob.hear()["content"] for _ in range(2)] == ["one", "two"]
    assert run("send", "bob", "three", "--as", "ann", daemon=daemon).err == ""
