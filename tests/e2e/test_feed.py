"""Feeds of the real daemon, for raw clients, the Python library and ``chatctl feed``."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from chatctl.client import Array, Client, User
from common.protocol.timestamps import parse_time
from tests.support.chatctl_process import begin, finish, run
from tests.support.daemon_process import Daemon, RawClient
from tests.support.kernel_sockets import unsent_bytes
from tests.support.processes import TIMEOUT

Start = Callable[..., Daemon]

FIELDS: Final = {"name", "username", "email", "address", "company", "birthdate", "phone"}


@pytest.fixture
def ann(daemon: Daemon) -> Iterator[RawClient]:
    with RawClient(daemon.address) as client:
        yield client


def test_both_topics_take_turns(ann: RawClient) -> None:
    ann.send("subscribe", interval_ms=5, size=4, low=-2, high=2)
    for number in range(1, 21):
        message = ann.receive()
        assert message["n"] == number
        if number % 2:
            assert message["code"] == "user"
            assert set(message["user"]) == FIELDS
        else:
            assert message["code"] == "array"
            assert len(message["values"]) == 4
            assert set(message["values"]) <= {-2, -1, 0, 1, 2}


def test_many_may_be_the_first_to_subscribe(start: Start) -> None:
    daemon = start()
    with ExitStack() as stack:
        clients = [stack.enter_context(RawClient(daemon.address)) for _ in range(10)]
        for client in clients:
            client.send("subscribe", interval_ms=100)
        for client in clients:
            assert [client.receive().get("n") for _ in range(2)] == [1, 2]


@pytest.mark.parametrize("topic", ["user", "array"])
def test_one_topic_comes_alone(ann: RawClient, topic: str) -> None:
    ann.send("subscribe", topics=[topic], interval_ms=0)
    assert {ann.receive()["code"] for _ in range(1_000)} == {topic}


def test_unsubscribe_ends_it_and_the_session_goes_on(ann: RawClient) -> None:
    ann.send("subscribe", interval_ms=0)
    ann.receive()
    ann.send("unsubscribe")
    ann.send("ping", ref="after")
    while ann.receive().get("ref") != "after":
        pass
    assert ann.ask("echo", content="still here") == {"code": "echo", "content": "still here"}


def test_the_end_of_input_ends_a_feed(ann: RawClient) -> None:
    ann.send("subscribe", interval_ms=1)
    ann.receive()
    ann.half_close()
    assert ann.receive_to_end() is not None


MOST_IN_KERNEL: Final = 8 * 2**20
"""Bytes: more than the buffers of both sockets."""


@pytest.mark.parametrize("interval_ms", [0, 1])
def test_a_feed_waits_for_a_slow_reader_and_never_disconnects_it(
    start: Start, interval_ms: int
) -> None:
    daemon = start("--outbox-limit", "64KiB", is_debugged=False)
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        sock.connect(daemon.address)
        sock.settimeout(TIMEOUT)
        order = {"code": "subscribe", "topics": ["array"], "interval_ms": interval_ms}
        sock.sendall(json.dumps({**order, "size": 1_000, "low": -(10**15)}).encode())
        wait_until_blocked(daemon, sock)
        reading_ns = time.time_ns()
        with sock.makefile("rb") as file:
            lines = [file.readline() for _ in range(1_000)]
    received = [json.loads(line) for line in lines]
    assert [message["n"] for message in received] == list(range(1, 1_001))
    ahead = [line for line in lines if parse_time(json.loads(line)["sent"]) < reading_ns]
    assert sum(map(len, ahead)) < MOST_IN_KERNEL
    assert "slow" not in daemon.stderr


def wait_until_blocked(daemon: Daemon, sock: socket.socket) -> None:
    """Ping until the kernel has taken nothing for `sock` over 10 times 20 pings."""
    unsent = unmoved = 0
    with RawClient(daemon.address) as other:
        while not unsent or unmoved < 10:
            for _ in range(20):
                assert other.ask("ping")["code"] == "pong"
            before, unsent = unsent, unsent_bytes(daemon.port, sock)
            unmoved = unmoved + 1 if unsent == before else 0


def test_a_feed_without_pause_leaves_room_for_others(daemon: Daemon) -> None:
    with RawClient(daemon.address) as greedy, RawClient(daemon.address) as modest:
        greedy.send("subscribe", interval_ms=0)
        for _ in range(200):
            greedy.receive()
            assert modest.ask("ping")["code"] == "pong"


def test_the_same_seed_gives_the_same_feed_to_everyone_in_every_run(start: Start) -> None:
    def stream(daemon: Daemon, **options: Any) -> list[Any]:
        with RawClient(daemon.address) as client:
            client.send("subscribe", **options)
            messages = [client.receive() for _ in range(300)]
        return [message.get("user") or message["values"] for message in messages]

    first, second = start("--feed-seed", "7"), start("--feed-seed", "7")
    expected = stream(first, interval_ms=0)
    assert stream(first, interval_ms=0) == expected
    assert stream(second, interval_ms=1) == expected


def test_without_a_seed_two_subscribers_get_different_feeds(daemon: Daemon) -> None:
    with RawClient(daemon.address) as one, RawClient(daemon.address) as other:
        feeds = []
        for client in (one, other):
            client.send("subscribe", interval_ms=0)
            feeds.append([client.receive() for _ in range(10)])
    assert feeds[0] != feeds[1]


def test_without_the_extra_the_answer_says_how_to_install_it(start: Start, tmp_path: Path) -> None:
    (tmp_path / "faker.py").write_text("raise ImportError('not installed here')")
    daemon = start(PYTHONPATH=str(tmp_path))
    with RawClient(daemon.address) as client:
        error = client.ask("subscribe", ref="7")
        assert (error["reason"], error["ref"]) == ("unsupported", "7")
        assert error["detail"].endswith("pip install 'chatd[feed]'")
        assert client.ask("ping")["code"] == "pong"
    refused = run("feed", daemon=daemon)
    assert refused.code == 4
    assert "pip install 'chatd[feed]'" in refused.err


def test_a_server_that_stops_says_so_to_every_subscriber(start: Start) -> None:
    daemon = start()
    clients = [RawClient(daemon.address) for _ in range(10)]
    for number, client in enumerate(clients):
        client.send("subscribe", interval_ms=number % 3)
        client.receive()
    daemon.process.send_signal(signal.SIGINT)
    for client in clients:
        last = json.loads(client.receive_to_end()[-1])
        assert (last["code"], last["reason"]) == ("error", "shutting_down")
        client.close()
    daemon.wait()


async def test_the_python_api_yields_both_kinds(daemon: Daemon) -> None:
    kinds = []
    async with Client(*daemon.address) as client:
        async for item in client.subscribe(interval=0.001, size=2):
            kinds.append(type(item))
            if len(kinds) == 4:
                break
        assert (await client.ping()).round_trip > 0
    assert kinds == [User, Array, User, Array]


async def test_a_program_that_is_slow_misses_nothing(daemon: Daemon) -> None:
    async with Client(*daemon.address) as client, Client(*daemon.address) as other:
        numbers = []
        async for item in client.subscribe("array", interval=0):
            if item.n in (1, 5_000):
                for _ in range(100):
                    await other.ping()
            numbers.append(item.n)
            if item.n == 20_000:
                break
    assert numbers == list(range(1, 20_001))


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
        daemon.wait_for_log(f"block of {size} in {block['seconds']:.3f} s")


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
    again.wait_for_log("feed of user and array")
    after: list[dict[str, Any]] = []
    while [record["code"] for record in after].count("block") < 2:
        after.append(next(printed))
    command.send_signal(signal.SIGINT)
    done = finish(command)
    assert done.code == 0
    assert "trying again" in done.err
    assert "reconnected after" in done.err
    first, second = (record for record in after if record["code"] == "block")
    assert (first["count"], first["interrupted"]) == (7, True)
    assert (second["count"], second["interrupted"]) == (7, False)
    numbers = [record["n"] for record in after if "n" in record]
    assert 1 in numbers
    again.wait_for_log(f"block of 7 in {first['seconds']:.3f} s, interrupted")
    assert len([r for r in before + after if "n" in r]) == 7 * 3


def test_ctrl_c_unsubscribes_and_quits(daemon: Daemon, feed: subprocess.Popen[str]) -> None:
    next(records(feed))
    feed.send_signal(signal.SIGINT)
    done = finish(feed)
    assert done.code == 0
    assert done.err.rstrip().endswith((" complete block", " complete blocks"))
    daemon.wait_for_log("disconnected: quit")


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
    assert feed.wait(TIMEOUT) == 141
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
    assert "receiving" not in refused.err
