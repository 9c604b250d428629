"""Clients that are killed, and what the next client with the same name recovers."""

import json
import os
import random
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.chatctl_process import begin, run
from tests.support.daemon_process import Daemon, RawClient
from tests.support.filtering_proxy import FilteringProxy
from tests.support.processes import kill, wait_until
from tests.support.terminal import Terminals

Start = Callable[..., Daemon]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory of its own for chatctl."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "state"


@pytest.fixture
def daemon(start: Start) -> Daemon:
    return start()


@pytest.fixture
def bob(daemon: Daemon) -> Iterator[RawClient]:
    """A client of the original protocol that is logged in during a test."""
    with RawClient(daemon.address) as client:
        client.hello("bob")
        yield client


@pytest.fixture
def proxy(daemon: Daemon) -> Iterator[FilteringProxy]:
    with FilteringProxy(daemon) as opened:
        yield opened


def cursor_in(state: Path) -> int:
    """Return the last id that the only name with a journal has acknowledged."""
    (ledger,) = state.rglob("*.ledger")
    rows = [json.loads(row) for row in ledger.read_text().splitlines()]
    return max(int(row["last"]) for row in rows if row["code"] == "place")


def send_and_kill(proxy: FilteringProxy, dropped_code: str, to: str, content: str) -> None:
    """Send as ann, drop the next line with this code, and kill the client before its ack."""
    proxy.dropped_codes = {dropped_code}
    sending = begin("send", to, content, "--as", "ann", daemon=proxy)
    proxy.wait()
    kill(sending)
    proxy.dropped_codes = set()


def test_a_message_whose_ack_was_lost_with_the_client_is_delivered_once(
    daemon: Daemon, proxy: FilteringProxy, bob: RawClient
) -> None:
    send_and_kill(proxy, "ack", "bob", "once")
    assert bob.receive()["content"] == "once"

    after = run("send", "bob", "then", "--as", "ann", daemon=proxy)

    assert after.code == 0
    assert after.err == ("chatctl: an earlier message to bob (“once”) had already been delivered\n")
    assert bob.receive()["content"] == "then"
    assert run("who", "--as", "ann", daemon=proxy).err == ""


def test_a_message_that_was_lost_with_the_client_is_delivered_before_the_next_one(
    daemon: Daemon, proxy: FilteringProxy, bob: RawClient
) -> None:
    send_and_kill(proxy, "outgoing", "bob", "lost")

    assert run("send", "bob", "then", "--as", "ann", daemon=proxy).code == 0

    assert [bob.receive()["content"] for _ in range(2)] == ["lost", "then"]


def test_what_a_killed_chat_read_from_a_pipe_is_delivered_once_by_the_next_one(
    daemon: Daemon, proxy: FilteringProxy, bob: RawClient
) -> None:
    proxy.dropped_codes = {"ack"}
    lines = [f"line {number}" for number in range(20)]
    chat = begin("chat", "ann", daemon=proxy, stdin=subprocess.PIPE)
    assert chat.stdin is not None
    chat.stdin.writelines(f"bob|{line}\n" for line in lines)
    for _ in lines:
        proxy.wait()
    kill(chat)

    proxy.dropped_codes = set()
    again = run("chat", "ann", "--json", daemon=proxy, stdin="bob|the end\n")

    records = [json.loads(line) for line in again.out.splitlines()]
    resent = [record for record in records if record["code"] == "delivered"]
    assert [record["message"]["content"] for record in resent] == lines
    assert all(record["duplicate"] for record in resent)
    assert [bob.receive()["content"] for _ in range(21)] == [*lines, "the end"]


def test_a_message_that_is_refused_at_last_is_reported_once(
    daemon: Daemon, proxy: FilteringProxy
) -> None:
    send_and_kill(proxy, "outgoing", "zoe", "hi")

    refused = 'an earlier message to zoe (“hi”) was refused: nobody called "zoe" is known here'
    assert refused in run("who", "--as", "ann", daemon=proxy).err
    assert run("who", "--as", "ann", daemon=proxy).err == ""


def test_after_a_timeout_the_user_reads_that_the_message_is_kept(
    proxy: FilteringProxy, bob: RawClient
) -> None:
    proxy.dropped_codes = {"ack"}
    sent = run("send", "bob", "hi", "--as", "ann", "--timeout", "2s", daemon=proxy)

    assert sent.code == 6
    assert (
        "chatctl: 1 message is not acknowledged yet; the next login as ann sends it\n" in sent.err
    )


def test_tail_goes_on_after_the_last_message_that_it_printed(
    daemon: Daemon, bob: RawClient, state: Path
) -> None:
    first = begin("tail", "--as", "logger", "--json", daemon=daemon)
    assert first.stdout is not None
    assert first.stderr is not None
    assert "waiting for messages" in first.stderr.readline()
    for number in range(3):
        bob.send("outgoing_broadcast", content=f"m{number}")
    assert [json.loads(first.stdout.readline())["content"] for _ in range(3)] == ["m0", "m1", "m2"]
    wait_until(lambda: cursor_in(state) == 3)
    kill(first)

    bob.send("outgoing_broadcast", content="m3")
    bob.send("outgoing", to="logger", content="m4")
    assert bob.ask("ping")["code"] == "pong"
    second = run("tail", "--as", "logger", "--json", "-c", "1", daemon=daemon)
    third = run("tail", "--as", "logger", "--json", "-c", "1", daemon=daemon)

    assert [json.loads(tail.out)["content"] for tail in (second, third)] == ["m3", "m4"]


def has_lines(file: Path, least: int) -> bool:
    return file.read_bytes().count(b"\n") >= least


def test_however_often_tail_is_killed_nothing_is_missing_and_only_the_newest_comes_again(
    daemon: Daemon, bob: RawClient, tmp_path: Path
) -> None:
    total, printed, kills = 400, list[int](), 0
    draw = random.Random(7)
    run("who", "--as", "logger", daemon=daemon)  # from here on nothing is missed
    for number in range(total):
        bob.send("outgoing_broadcast", content=str(number))
    while not printed or printed[-1] < total:
        output = tmp_path / f"{kills}.ndjson"
        enough = min(draw.randint(1, 120), total - (printed[-1] if printed else 0))
        with output.open("wb") as file:
            tail = begin("tail", "--as", "logger", "--json", daemon=daemon, stdout=file)
            wait_until(partial(has_lines, output, enough))
            kill(tail)
        kills += 1
        whole, _, _torn = output.read_text().rpartition("\n")
        printed += [json.loads(line)["id"] for line in whole.splitlines()]

    assert printed == sorted(printed)
    assert sorted(set(printed)) == list(range(1, total + 1))
    assert len(printed) - total <= kills


def test_a_chat_that_is_killed_shows_the_next_time_what_came_meanwhile(
    daemon: Daemon, bob: RawClient, terminals: Terminals, state: Path
) -> None:
    ann = terminals.chat(daemon, "ann")
    bob.send("outgoing", to="ann", content="shown")
    ann.expect("bob (to you): shown")
    wait_until(lambda: cursor_in(state) == 1)
    ann.kill()

    bob.send("outgoing", to="ann", content="missed")
    bob.send("outgoing_broadcast", content="missed too")
    assert bob.ask("ping")["code"] == "pong"
    again = terminals.chat(daemon, "ann")
    again.expect("bob (to you): missed")
    again.expect("bob: missed too")
    again.enter("quit")
    assert again.end() == 0
    assert "shown" not in again.text


def test_what_was_typed_into_a_chat_that_was_killed_goes_to_a_server_that_started_over(
    start: Start, terminals: Terminals, reserved_port: int
) -> None:
    port = str(reserved_port)
    daemon = start("--log", "memory", "--port", port)
    ann = terminals.chat(daemon, "ann")
    daemon.stop()
    ann.expect("; reconnecting\n")
    ann.enter("are you there?")
    ann.expect("you: are you there?")
    ann.kill()

    with RawClient(start("--log", "memory", "--port", port).address) as bob:
        bob.hello("bob")
        again = terminals.chat(daemon, "ann")
        again.expect("* the server has started a new log; earlier messages may be missing")
        again.expect("(“are you there?”) was delivered now")
        assert bob.receive()["content"] == "are you there?"
        again.enter("quit")
        assert again.end() == 0


def test_an_unreadable_journal_is_one_clear_line(
    daemon: Daemon, bob: RawClient, state: Path
) -> None:
    assert run("send", "bob", "one", "--as", "ann", daemon=daemon).code == 0
    (ledger,) = state.rglob("*.ledger")
    ledger.write_bytes(os.urandom(64) + b"\n")

    sent = run("send", "bob", "two", "--as", "ann", daemon=daemon)

    assert sent.code == 0
    assert sent.err.startswith("chatctl: the journal of ann cannot be read (")
    assert sent.err.count("\n") == 1
    assert [bob.receive()["content"] for _ in range(2)] == ["one", "two"]
    assert run("send", "bob", "three", "--as", "ann", daemon=daemon).err == ""
