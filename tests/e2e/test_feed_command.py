"""``chatctl feed`` and the real daemon, each as a process."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.chatctl.running import begin, finish, run
from tests.e2e.daemon import Daemon

Start = Callable[..., Daemon]


@pytest.fixture
def feed(daemon: Daemon) -> Iterator[subprocess.Popen[str]]:
    """A command that prints a feed of JSON in blocks of 3."""
    command = begin("feed", "--interval", "20ms", "--block", "3", "--json", daemon=daemon)
    yield command
    command.kill()
    command.communicate()


def records(command: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """Yield what a command prints as JSON."""
    assert command.stdout is not None
    return map(json.loads, command.stdout)


def eventually(daemon: Daemon, text: str) -> None:
    """Wait until the daemon has logged `text`."""
    deadline = time.monotonic() + 60
    while text not in daemon.stderr:
        assert time.monotonic() < deadline, f"{text!r} is not in {daemon.stderr}"
        time.sleep(0.01)


@pytest.mark.parametrize("size", [1, 5, 7])
def test_blocks_are_printed_and_reported_to_the_server(daemon: Daemon, size: int) -> None:
    count = 2 * size
    done = run(
        *("feed", "--json", "--interval", "10ms", "--block", str(size), "--count", str(count)),
        daemon=daemon,
    )
    assert done.code == 0, done.err
    printed = [json.loads(line) for line in done.out.splitlines()]
    blocks = [record for record in printed if record["code"] == "block"]
    assert [(block["count"], block["interrupted"]) for block in blocks] == [(size, False)] * 2
    assert len(printed) == count + 2
    assert printed[size]["code"] == "block"
    assert blocks[1]["seconds"] >= (size - 1) * 0.010
    for block in blocks:
        eventually(daemon, f"block of {size} in {block['seconds']:.3f} s")


def test_a_server_that_is_killed_and_comes_back_is_found_and_the_block_is_marked(
    start: Start, reserved_port: int
) -> None:
    daemon = start("--port", str(reserved_port))
    command = begin("feed", "--interval", "20ms", "--block", "7", "--json", daemon=daemon)
    printed = records(command)
    before = [next(printed) for _ in range(10)]
    assert [record["code"] for record in before].count("block") == 1
    daemon.kill()
    again = start("--port", str(reserved_port))
    eventually(again, "feed of user and array")
    after: list[dict[str, Any]] = []
    while [record["code"] for record in after].count("block") < 2:
        after.append(next(printed))
    command.send_signal(signal.SIGINT)
    done = finish(command)
    assert done.code == 0
    assert "trying again" in done.err
    assert "connected again" in done.err
    first, second = (record for record in after if record["code"] == "block")
    assert (first["count"], first["interrupted"]) == (7, True)
    assert (second["count"], second["interrupted"]) == (7, False)
    numbers = [record["n"] for record in after if "n" in record]
    assert 1 in numbers
    eventually(again, f"block of 7 in {first['seconds']:.3f} s, interrupted")
    assert len([r for r in before + after if "n" in r]) == 7 * 3


def test_ctrl_c_unsubscribes_and_quits(daemon: Daemon, feed: subprocess.Popen[str]) -> None:
    next(records(feed))
    feed.send_signal(signal.SIGINT)
    done = finish(feed)
    assert done.code == 0
    assert done.err.rstrip().endswith("goodbye")
    eventually(daemon, "disconnected: quit")


def test_ctrl_c_works_while_the_server_is_away(start: Start) -> None:
    daemon = start()
    command = begin("feed", "--interval", "20ms", "--json", daemon=daemon)
    next(records(command))
    daemon.kill()
    assert command.stderr is not None
    while "trying again" not in command.stderr.readline():
        pass
    command.send_signal(signal.SIGINT)
    assert finish(command).code == 0


def test_a_closed_pipe_ends_it_quietly(feed: subprocess.Popen[str]) -> None:
    assert feed.stdout is not None
    assert feed.stderr is not None
    feed.stdout.readline()
    feed.stdout.close()
    assert feed.wait(20.0) == 141
    assert "Traceback" not in feed.stderr.read()


@pytest.mark.parametrize(
    ("arguments", "expected_error"),
    [
        (["--interval", "0.5ms"], "out of range: 1ms to 1h, or 0"),
        (["--size", "1001"], "not a whole number from 1 to 1000"),
        (["--block", "0"], "not a whole number of 1 or more"),
        (["--low", "5", "--high", "4"], "low is 5 and high is 4"),
        (["--topic", "cat"], "cat"),
    ],
)
def test_invalid_feed_options_are_explained_with_code_2(
    daemon: Daemon, arguments: list[str], expected_error: str
) -> None:
    refused = run("feed", *arguments, daemon=daemon)
    assert refused.code == 2
    assert expected_error in refused.err
    assert "listening" not in refused.err
