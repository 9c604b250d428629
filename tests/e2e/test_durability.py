"""Durability: acknowledged messages survive a kill, and what is not stored is reported."""

import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import processes
from tests.support.daemon_process import Daemon, RawClient, command, refused
from tests.support.log_harness import tamper
from tests.support.processes import TIMEOUT, CommandResult

TOKEN = "a secret of ann's"

Restart = Callable[..., Daemon]


@pytest.fixture
def restart(tmp_path: Path) -> Iterator[Restart]:
    """Start a daemon, each with the data of the one before, which must have ended."""
    started: list[Daemon] = []

    def start_next(*options: str, is_debugged: bool = True, data: Path = tmp_path) -> Daemon:
        started.append(Daemon(data, *options, is_debugged=is_debugged))
        return started[-1]

    yield start_next
    for daemon in started:
        if daemon.process.poll() is None:
            daemon.stop()
        daemon.close()


def ann_on(daemon: Daemon, **fields: Any) -> RawClient:
    """Return a connection that is logged in as ann; the caller closes it."""
    client = RawClient(daemon.address)
    client.hello("ann", version=1, token=TOKEN, **fields)
    return client


@pytest.mark.parametrize("durability", ["process", "power"])
def test_a_message_survives_a_kill_right_after_its_ack(restart: Restart, durability: str) -> None:
    killed = restart("--durability", durability)
    with ann_on(killed) as ann, RawClient(killed.address) as bob:
        bob.hello("bob", version=1, token="a secret of bob's")
        ann.send("outgoing", to="bob", content="remember me", ref="r")
        assert ann.receive() == {"code": "ack", "ref": "r", "id": 1}
        killed.kill()
        received = bob.receive()
    daemon = restart("--durability", durability)
    with ann_on(daemon) as ann, RawClient(daemon.address) as bob:
        bob.send("hello", name="bob", version=1, token="a secret of bob's", after=0)
        assert bob.receive()["last"] == 1
        again = bob.receive()
        assert (again["id"], again["content"], again["ref"]) == (1, "remember me", "r")
        assert received in (again, {})
        assert bob.receive() == {"code": "resumed", "count": 1, "last": 1, "gap": False}
        assert ann.ask("outgoing", to="bob", content="remember me", ref="r") == {
            "code": "ack",
            "ref": "r",
            "id": 1,
            "duplicate": True,
        }
        assert ann.ask("outgoing", to="bob", content="and this", ref="s")["id"] == 2


def test_each_message_in_flight_at_a_kill_is_there_once_after_resending(
    restart: Restart,
) -> None:
    killed = restart(is_debugged=False)
    refs = [str(number) for number in range(500)]
    with ann_on(killed) as ann:
        for ref in refs:
            ann.send("outgoing_broadcast", content=f"number {ref}", ref=ref)
        acknowledged = {ann.receive()["ref"]: number for number in range(1, 6)}
        killed.kill()
    daemon = restart(is_debugged=False)
    with ann_on(daemon) as ann:
        acks = [ann.ask("outgoing_broadcast", content=f"number {ref}", ref=ref) for ref in refs]
        assert [ack["id"] for ack in acks] == list(range(1, 501))
        assert all(acks[number - 1].get("duplicate") for number in acknowledged.values())
        history = ann.ask("history", limit=1_000)["messages"]
        assert [message["content"] for message in history] == [f"number {ref}" for ref in refs]


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_a_name_belongs_to_its_token_after_a_restart(
    restart: Restart, ending: signal.Signals
) -> None:
    first = restart()
    with ann_on(first), RawClient(first.address) as bare:
        bare.hello("bare")
    first.process.send_signal(ending)
    first.process.wait(TIMEOUT)
    daemon = restart()
    with RawClient(daemon.address) as eve:
        error = eve.ask("hello", name="ann", version=1, token="a guess of eve's!")
        assert error["reason"] == "unauthorized"
        eve.hello("bare", version=1)
        ann_on(daemon).close()


def test_a_client_that_saw_messages_lost_in_a_power_cut_is_notified_and_misses_nothing_later(
    restart: Restart, tmp_path: Path
) -> None:
    cut = restart("--durability", "process")
    with ann_on(cut) as ann, RawClient(cut.address) as bob:
        log = bob.hello("bob", version=1, token="a secret of bob's")["log"]
        for number in range(1, 5):
            ann.ask("outgoing_broadcast", content=f"number {number}", ref=str(number))
            assert bob.receive()["id"] == number
        cut.kill()
    # The machine starts anew, and of the last two messages nothing had reached the disk.
    tamper(tmp_path / "log.sqlite", "DELETE FROM entry WHERE id > 2", "UPDATE log SET boot = 'old'")
    daemon = restart("--durability", "process")
    with ann_on(daemon) as ann, RawClient(daemon.address) as bob:
        ann.ask("outgoing_broadcast", content="another third", ref="5")
        welcome = bob.hello("bob", version=1, token="a secret of bob's", after=4, log=log)
        assert (welcome["last"], welcome["after"]) == (3, 2)
        assert welcome["log"] != log
        again = bob.receive()
        assert (again["id"], again["content"]) == (3, "another third")
        assert bob.receive() == {"code": "resumed", "count": 1, "last": 3, "gap": True, "first": 1}


def test_a_log_in_memory_begins_anew(restart: Restart) -> None:
    first = restart("--log", "memory")
    with ann_on(first) as ann:
        assert ann.ask("outgoing_broadcast", content="gone", ref="r")["id"] == 1
    first.stop()
    daemon = restart("--log", "memory")
    with ann_on(daemon) as ann:
        assert ann.ask("outgoing_broadcast", content="gone", ref="r")["id"] == 1


def test_a_directory_is_used_by_one_daemon_at_a_time(restart: Restart, tmp_path: Path) -> None:
    with ann_on(restart()) as ann:
        assert refused("--data", str(tmp_path)) == (
            4,
            f"chatd: another chatd is using {tmp_path}; "
            "stop it, or choose another directory with --data",
        )
        assert ann.ask("outgoing_broadcast", content="still here", ref="r")["id"] == 1


@pytest.mark.parametrize(
    ("damage", "expected_error"),
    [
        (lambda log: log[: len(log) // 2], "is damaged: "),
        (lambda log: log[:4_096] + b"\xff" * 4_096 + log[8_192:], "is damaged: "),
        (lambda _log: b"", "is damaged: it is empty"),
        # The version of the tables is at byte 60 of the header.
        (lambda log: log[:60] + b"\0\0\0\x63" + log[64:], "was written by a newer chatd"),
    ],
    ids=["cut", "overwritten", "emptied", "newer"],
)
def test_a_log_that_cannot_be_trusted_is_refused_and_left_as_it_is(
    restart: Restart, tmp_path: Path, damage: Callable[[bytes], bytes], expected_error: str
) -> None:
    daemon = restart()
    with ann_on(daemon) as ann:
        for number in range(20):
            ann.ask("outgoing_broadcast", content="x" * 1_000, ref=str(number))
    daemon.stop()
    log = tmp_path / "log.sqlite"
    harmed = damage(log.read_bytes())
    log.write_bytes(harmed)
    code, line = refused("--data", str(tmp_path))
    assert (code, line.startswith(f"chatd: {log} {expected_error}")) == (4, True), line
    assert "; start that one, or" in line or "Restore a backup, or move it away" in line
    assert log.read_bytes() == harmed


def test_while_nothing_can_be_written_senders_get_errors_and_then_it_recovers(
    restart: Restart,
) -> None:
    daemon = restart()
    pid = daemon.process.pid
    with (
        ann_on(daemon) as ann,
        RawClient(daemon.address) as bob,
        RawClient(daemon.address) as carol,
    ):
        bob.hello("bob")
        assert ann.ask("outgoing_broadcast", content="one", ref="1") == {
            "code": "ack", "ref": "1", "id": 1
        }  # fmt: skip
        assert bob.receive()["content"] == "one"
        # From here on no file may grow past 4 KiB, which is as good as a full disk.
        unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE, (4_096, resource.RLIM_INFINITY))
        error = ann.ask("outgoing_broadcast", content="two", ref="2")
        assert (error["code"], error["reason"], error["ref"]) == (
            "error", "storage_failed", "2"
        )  # fmt: skip
        error = bob.ask("outgoing_broadcast", content="three")
        assert error["reason"] == "storage_failed"
        assert "ref" not in error
        error = carol.ask("hello", name="carol", version=1)
        assert (error["code"], error["reason"]) == ("error", "storage_failed")
        assert ann.ask("ping")["code"] == "pong"

        resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
        assert ann.ask("outgoing_broadcast", content="two", ref="2")["id"] == 2
        assert bob.receive()["content"] == "two"
        assert carol.hello("carol", version=1)["last"] == 2
    assert "cannot store messages" in daemon.stderr
    assert "messages are stored again" in daemon.stderr
    daemon.stop()
    with ann_on(restart()) as ann:
        contents = [message["content"] for message in ann.ask("history")["messages"]]
        assert contents == ["one", "two"]


def test_expired_messages_are_a_gap_for_a_resumed_client(restart: Restart) -> None:
    daemon = restart("--keep-messages", "10")
    ann_on(daemon).close()
    with RawClient(daemon.address) as bob:
        bob.hello("bob", version=1)
        for number in range(30):
            assert bob.ask("outgoing_broadcast", content="hi", ref=f"{number}")["code"] == "ack"
        with ann_on(daemon, after=1) as again:
            assert again.receive() == {"code": "gap", "first": 21}
            replayed = [again.receive() for _ in range(11)]
    assert [message["id"] for message in replayed[:-1]] == list(range(21, 31))
    assert replayed[-1] == {"code": "resumed", "count": 10, "last": 30, "gap": True, "first": 21}


def run(*options: str) -> CommandResult:
    return processes.run(command(*options))


def test_a_log_in_use_is_checked_and_backed_up_and_the_backup_goes_on(
    restart: Restart, tmp_path: Path
) -> None:
    backup = tmp_path / "elsewhere" / "log.sqlite"
    backup.parent.mkdir()
    daemon = restart()
    with ann_on(daemon) as ann:
        ann.ask("outgoing_broadcast", content="one", ref="1")
        checked = run("--check", str(tmp_path))
        assert (checked.code, checked.err) == (0, "")
        assert checked.out.startswith(f"{tmp_path / 'log.sqlite'}: version 4, 1 messages, ")
        assert checked.out.endswith("\nsound\n")
        backed_up = run("--data", str(tmp_path), "--backup", str(backup))
        assert (backed_up.code, backed_up.out) == (0, "")
        assert run("--check", str(backup)).out.endswith("\nsound\n")
    daemon.stop()
    with ann_on(restart(data=backup.parent)) as ann:
        assert ann.ask("history")["messages"][0]["content"] == "one"


def test_damage_is_reported_line_by_line_and_with_an_exit_code(
    restart: Restart, tmp_path: Path
) -> None:
    restart().stop()
    log = tmp_path / "log.sqlite"
    content = log.read_bytes()
    log.write_bytes(content[:4_096] + b"\xff" * 4_096 + content[8_192:])
    checked = run("--check", str(tmp_path))
    assert checked.code == 4
    assert len(checked.out.splitlines()) >= 2
    assert checked.out.endswith("\ndamaged: restore a backup\n")


@pytest.mark.parametrize("action", ["--check", "--backup"])
def test_where_no_log_is_there_is_nothing_to_do(tmp_path: Path, action: str) -> None:
    done = run("--data", str(tmp_path), action, str(tmp_path / "some" / "where"))
    assert (done.code, done.out) == (4, "")
    assert " does not exist; name the directory that chatd uses" in done.err
    assert list(tmp_path.iterdir()) == []
