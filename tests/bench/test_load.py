"""The load, compiled and not: it counts what is received, in order, and accepts nothing else."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench import measure
from bench.durable_protocol import ChatdDurableProtocol
from bench.errors import BenchTimeoutError, WrongAnswerError
from bench.jobs.messages import Durable
from bench.load import measure_flows
from bench.load.base import Flow, Load, Pace
from bench.load.native import NativeLoad
from bench.load.pure_python import PurePythonLoad
from bench.measure import Target, Timing
from bench.protocols import ANY, ChatdProtocol
from bench.sockets import CYCLE, BytePattern, numbered, repeated
from tests.support.daemon_process import Daemon, RawClient
from tests.support.programs import require

Open = Callable[[list[Flow]], Load]
Pair = tuple[socket.socket, socket.socket]

LINES = numbered(lambda text: f"{text}\n".encode(), 16)
RUN = 0.02
TIMEOUT = 60.0
"""Seconds: of a run, and until a test gives up."""


@pytest.fixture(params=["native", "pure_python"])
def open_load(request: pytest.FixtureRequest) -> Open:
    if request.param == "pure_python":
        return PurePythonLoad
    require("cc")
    return NativeLoad


@pytest.fixture
def pair() -> Iterator[Pair]:
    author, receiver = socket.socketpair()
    with author, receiver:
        yield author, receiver


def flow(pair: Pair, *, expects: BytePattern = LINES, pace: Pace | None = None) -> Flow:
    author, receiver = pair
    return Flow(author, LINES, [receiver], expects, pace or Pace(window=4))


def run_until(load: Load, least: int) -> int:
    """Run `load` until it has received `least` messages; return how many it received."""
    received = 0
    while received < least:
        received += load.run(RUN)
    return received


def test_what_is_received_is_counted_and_nothing_is_left_in_the_end(
    open_load: Open, pair: Pair
) -> None:
    load = open_load([flow(pair)])
    received = run_until(load, 2 * CYCLE + 1)
    assert load.finish(TIMEOUT)
    counted = sum(load.take_latencies())
    assert received <= counted <= received + 4


def test_latencies_that_were_taken_are_not_counted_again(open_load: Open, pair: Pair) -> None:
    load = open_load([flow(pair)])
    load.run(RUN)
    load.finish(TIMEOUT)
    load.take_latencies()
    assert sum(load.take_latencies()) == 0


def test_no_more_is_in_flight_than_the_window_allows(open_load: Open, pair: Pair) -> None:
    author, receiver = pair
    silent_end, receiver_end = socket.socketpair()
    with silent_end, receiver_end:
        load = open_load([Flow(author, LINES, [receiver_end], LINES, Pace(window=4))])
        assert load.run(RUN) == 0
        assert receiver.recv(10_000) == LINES.doubled[: 4 * LINES.length]


def test_where_nothing_is_received_there_is_nothing_to_measure(pair: Pair) -> None:
    require("cc")
    silent_end, receiver_end = socket.socketpair()
    with silent_end, receiver_end:
        flow_without_answers = Flow(pair[0], LINES, [receiver_end], LINES, Pace(window=4))
        target = Target("127.0.0.1", 1, os.getpid(), ChatdProtocol())
        with pytest.raises(BenchTimeoutError, match=r"nothing was received in the 0\.02 s"):
            measure_flows([flow_without_answers], target, Timing(warmup=RUN, seconds=RUN))


def test_messages_at_a_fixed_rate_are_sent_when_they_are_due(open_load: Open, pair: Pair) -> None:
    load = open_load([flow(pair, pace=Pace(window=100, interval_s=0.001))])
    start = time.monotonic()
    received = run_until(load, 10)
    most = (time.monotonic() - start) / 0.001 + 1
    assert received <= most


@pytest.mark.parametrize(
    "wrong",
    [
        LINES.doubled[LINES.length :],
        LINES.doubled[: LINES.length] * 2,
        b"x" * LINES.length,
        LINES.doubled[: 5 * LINES.length],
    ],
    ids=["one lost", "one doubled", "one changed", "one too many"],
)
def test_any_other_byte_ends_the_run(open_load: Open, pair: Pair, wrong: bytes) -> None:
    author, _elsewhere = pair
    silent_end, receiver_end = socket.socketpair()
    with silent_end, receiver_end:
        load = open_load([Flow(author, LINES, [receiver_end], LINES, Pace(window=4))])
        load.run(RUN)
        silent_end.sendall(wrong)
        with pytest.raises(WrongAnswerError, match="messages and 0 bytes expected"):
            load.run(TIMEOUT)


def test_an_author_must_receive_nothing_but_its_replies(open_load: Open, pair: Pair) -> None:
    _author, receiver = pair
    load = open_load([flow(pair)])
    receiver.sendall(b"hello\n")
    with pytest.raises(
        WrongAnswerError, match="an author that must receive nothing received b'hello"
    ):
        load.run(TIMEOUT)


def test_a_connection_that_is_lost_ends_the_run(open_load: Open, pair: Pair) -> None:
    author, _listener = pair
    load = open_load([flow(pair)])
    author.shutdown(socket.SHUT_WR)
    with pytest.raises(WrongAnswerError, match="connection lost"):
        load.run(TIMEOUT)


def test_masked_bytes_are_not_compared(open_load: Open, pair: Pair) -> None:
    author, receiver = pair
    sends = repeated(b"at 07:11\n", 10)
    expects = repeated(b"at " + ANY * 5 + b"\n", 10)
    load = open_load([Flow(author, sends, [receiver], expects, Pace(window=10, batch=10))])
    run_until(load, 1)
    assert load.finish(TIMEOUT)


def test_an_author_may_be_its_own_listener(open_load: Open, pair: Pair) -> None:
    client, server = pair
    load = open_load([Flow(client, LINES, [client], LINES, Pace(window=4))])
    load.run(RUN)
    server.sendall(server.recv(10_000))
    assert load.finish(TIMEOUT)


@pytest.mark.parametrize("ns", [0, 1, 31, 32, 63, 64, 1_000, 12_345, 10**6, 10**9, 10**11])
def test_a_bucket_is_within_two_per_cent_of_the_duration(ns: int) -> None:
    assert measure.midpoint(measure.bucket(ns)) == pytest.approx(ns, rel=0.02, abs=0.6)


def test_percentiles_are_those_of_what_was_counted() -> None:
    counts = [0] * measure.BUCKETS
    for us in range(1, 1_001):
        counts[measure.bucket(us * 1_000)] += 1
    found = measure.histogram_percentiles(counts)
    expected = {"p50_us": 500, "p99_us": 990, "p999_us": 999, "max_us": 1_000}
    assert found == pytest.approx(expected, rel=0.03)


class SmallLogProtocol(ChatdDurableProtocol):
    PREFILLED = 1_000


@pytest.mark.parametrize("window", [1, 8])
def test_every_acknowledgement_that_is_counted_is_a_message_in_the_log(
    tmp_path: Path, window: int
) -> None:
    daemon = Daemon(tmp_path, "--durability", "process", is_debugged=False)
    host, port = daemon.address
    target = Target(host=host, port=port, pid=daemon.process.pid, protocol=SmallLogProtocol())
    job = Durable("durable-3", authors=3, window=window, max_messages=60_000)
    measured = job.run(target, Timing(warmup=0.0, seconds=0.05))
    with RawClient(daemon.address) as client:
        kept = client.hello("somebody", version=1)["last"]
    daemon.stop()
    # Of each author so many messages may be on their way when the count ends.
    assert 0 < measured.operations <= kept - 1_000 <= measured.operations + 3 * window
    assert measured.figures["p50_us"] > 0
