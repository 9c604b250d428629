"""Broken and hostile clients: the server keeps running, and no other client is affected."""

import json
import random
import resource
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.daemon_process import Daemon, RawClient
from tests.support.processes import TIMEOUT, is_asleep, wait_until

Start = Callable[..., Daemon]

MARK = "the line after"

SPARE_DESCRIPTORS = 500
"""What the tests and the daemon need beside connections."""


@pytest.fixture(scope="module")
def observers(daemon: Daemon) -> Iterator[tuple[RawClient, RawClient]]:
    """Two clients that send to each other, to see that nothing disturbs them."""
    with RawClient(daemon.address) as one, RawClient(daemon.address) as other:
        one.hello("one")
        other.hello("other")
        yield one, other


def assert_undisturbed(observers: tuple[RawClient, RawClient]) -> None:
    one, other = observers
    one.send("outgoing", to="other", content="still here?")
    assert other.receive()["content"] == "still here?"


def mutated(line: bytes, position: int, byte: int) -> bytes:
    return line[: position % len(line)] + bytes([byte]) + line[position % len(line) + 1 :]


VALID = st.sampled_from(
    [
        b'{"code":"outgoing","to":"nobody","content":"hi","ref":"1"}',
        b'{"code":"hello","name":"x","version":1,"token":"0123456789abcdef"}',
        b'{"code":"ping","ref":"\\u00e9"}',
        b'{"code":"echo","content":{"a":[1,2.5e3,null,true]}}',
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
).map(lambda value: json.dumps(value).encode())
GARBAGE = (
    st.binary(max_size=200)
    | JSON
    | st.builds(mutated, VALID, st.integers(0, 200), st.integers(0, 255))
).map(lambda line: line.replace(b"\n", b"\r").replace(b'"format"', b'"formad"'))


@settings(max_examples=150)
@given(line=GARBAGE)
def test_after_any_garbage_the_session_goes_on(
    daemon: Daemon, observers: tuple[RawClient, RawClient], line: bytes
) -> None:
    with RawClient(daemon.address) as client:
        client.send_bytes(line + b"\n")
        client.send("echo", content=MARK)
        answers = []
        while MARK not in (answer := client.receive_line()):
            assert answer, f"closed after {line!r}"
            answers.append(json.loads(answer))
        is_bad_line = not line.lstrip(b" \t\r").startswith(b"{") and line.strip(b" \t\r")
        assert len(answers) == 1 if is_bad_line else len(answers) <= max(1, line.count(b"}"))
    assert_undisturbed(observers)


def test_a_line_over_the_limit_costs_one_error_and_nothing_else(daemon: Daemon) -> None:
    with RawClient(daemon.address) as client:
        for chunk in (b'{"code":"echo","content":"', b"x" * 300_000, b"x" * 300_000, b'"}\n'):
            client.send_bytes(chunk)
        client.send("echo", content=MARK)
        assert client.receive()["reason"] == "line_too_long"
        assert client.receive()["content"] == MARK


def test_a_reset_within_a_line_disturbs_nobody(
    daemon: Daemon, observers: tuple[RawClient, RawClient]
) -> None:
    for number in range(50):
        client = RawClient(daemon.address)
        client.hello(f"ghost {number}")
        client.send_bytes(b'{"code":"outgoing_broad')
        client.reset()
    assert_undisturbed(observers)
    one, _ = observers
    wait_until(lambda: not any(name.startswith("ghost") for name in one.ask("who")["users"]))


def test_a_half_closed_connection_still_gets_its_answers(daemon: Daemon) -> None:
    with RawClient(daemon.address) as client:
        client.send_bytes(b'{"code":"hello","name":"half","version":1}')
        client.send_bytes(b'{"code":"outgoing","to":"half","content":"to me","ref":"1"}')
        client.half_close()
        codes = [json.loads(line)["code"] for line in client.receive_to_end()]
    assert codes == ["welcome", "incoming", "ack"]


def test_a_slow_consumer_is_disconnected_and_nobody_else_is_slowed(start: Start) -> None:
    daemon = start("--outbox-limit", "1MiB", is_debugged=False)
    with (
        RawClient(daemon.address) as slow,
        RawClient(daemon.address) as ann,
        RawClient(daemon.address) as bob,
    ):
        slow.hello("slow", version=1)
        ann.hello("ann", version=1)
        bob.hello("bob")
        while "slow" in ann.ask("who")["users"]:
            ann.send("outgoing_broadcast", content="x" * 60_000)
            assert bob.receive()["code"] == "incoming_broadcast"
        *deliveries, last = slow.receive_to_end()
        error = json.loads(last)
        assert (error["code"], error["reason"]) == ("error", "slow_consumer")
        assert "limit is 1048576" in error["detail"]
        assert f"resume after id {json.loads(deliveries[-1])['id']}," in error["detail"]


def test_a_client_that_does_not_read_its_answers_is_not_read_from(start: Start) -> None:
    daemon = start("--outbox-limit", "1MiB", is_debugged=False)
    with RawClient(daemon.address) as greedy, RawClient(daemon.address) as ann:
        lines = memoryview((b'{"code":"echo","content":"' + b"x" * 1000 + b'"}\n') * 100)
        greedy.socket.setblocking(False)
        sent = pings = 0
        while pings < 200:  # in a row, and each takes the daemon through its loop
            try:
                sent += greedy.socket.send(lines[sent % len(lines) :])
                pings = 0
            except BlockingIOError:
                assert ann.ask("ping")["code"] == "pong"
                pings += 1
        assert sent < 64 * 2**20
        greedy.socket.settimeout(TIMEOUT)
        greedy.half_close()
        received = bytearray()
        while chunk := greedy.socket.recv(2**20):
            received += chunk
        assert received.count(b'"echo"') == sent // (len(lines) // 100)


def descriptors_in_use(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_over_the_connection_limit_clients_get_an_error_until_one_leaves(
    start: Start,
) -> None:
    daemon = start("--max-connections", "20")
    clients = [RawClient(daemon.address) for _ in range(20)]
    for client in clients:
        assert client.ask("ping")["code"] == "pong"
    with RawClient(daemon.address) as late:
        assert late.receive()["reason"] == "server_full"
        assert late.receive() == {}
    clients.pop().close()
    for client in clients:
        assert client.ask("ping")["code"] == "pong"
    wait_until(lambda: is_served(daemon))
    for client in clients:
        client.close()


def is_served(daemon: Daemon) -> bool:
    """Whether the daemon answers a new client."""
    try:
        with RawClient(daemon.address) as client:
            return client.ask("ping").get("code") == "pong"
    except OSError:
        return False


def test_out_of_descriptors_it_neither_spins_nor_stops_accepting(start: Start) -> None:
    daemon = start("--max-connections", "1000", is_debugged=False)
    pid = daemon.process.pid
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors_in_use(pid) + 5,) * 2)
    crowd = [socket.create_connection(daemon.address, TIMEOUT) for _ in range(30)]
    wait_until(lambda: is_asleep(pid), lambda: "it spins")
    for sock in crowd:
        sock.close()
    wait_until(lambda: is_served(daemon), lambda: "it does not accept again")


@pytest.fixture
def descriptors() -> Iterator[int]:
    """Raise the limit of descriptors and yield how many the test may use, 10,000 at most."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 10_000 + SPARE_DESCRIPTORS
    raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, raised), hard))
    yield raised - SPARE_DESCRIPTORS
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_ten_thousand_idle_connections_cost_the_others_nothing(
    start: Start, descriptors: int
) -> None:
    daemon = start("--log-level", "warning", is_debugged=False)
    idle = [RawClient(daemon.address) for _ in range(descriptors)]
    with RawClient(daemon.address) as ann, RawClient(daemon.address) as bob:
        ann.hello("ann")
        bob.hello("bob")
        for _ in range(100):
            ann.send("outgoing", to="bob", content="hi")
            assert bob.receive()["content"] == "hi"
        chosen = random.Random(1).sample(idle, 100)
        for client in chosen:
            client.send_bytes(b'{"code":"echo","content":1}')
        for client in chosen:
            assert client.receive_line() == '{"code":"echo","content":1}'
    for client in idle:
        client.reset()  # which leaves no port in TIME_WAIT, as a close would
