"""The load, compiled and not: it counts what is heard, in order, and takes nothing else for right.

Two ends of a pair of sockets stand for a perfect server: what goes in at one comes out at the
other.
"""

import os
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from bench import histogram
from bench.dialects import ANY, ChatdDialect
from bench.failures import TimedOut, WrongAnswer
from bench.load.lane import Lane, Load, Pace
from bench.load.native import NativeLoad
from bench.load.plain import PlainLoad
from bench.load.steady import measure_steady
from bench.measurement import Target, Timing
from bench.tape import CYCLE, Tape, numbered, repeated
from tests.tools import require

Open = Callable[[list[Lane]], Load]
Pair = tuple[socket.socket, socket.socket]

LINES = numbered(lambda text: f"{text}\n".encode(), 16)
RUN = 0.02
PATIENCE = 60.0
"""Seconds: of a run, and until a test gives up."""


@pytest.fixture(params=["native", "plain"])
def open_load(request: pytest.FixtureRequest) -> Open:
    if request.param == "plain":
        return PlainLoad
    require("cc")
    return NativeLoad


@pytest.fixture
def pair() -> Iterator[Pair]:
    author, listener = socket.socketpair()
    with author, listener:
        yield author, listener


def lane(pair: Pair, *, hears: Tape = LINES, pace: Pace | None = None) -> Lane:
    author, listener = pair
    return Lane(author, LINES, [listener], hears, pace or Pace(window=4))


def run_until(load: Load, least: int) -> int:
    """Run `load` until it has heard so many, and return how many; a busy machine takes longer."""
    heard = 0
    while heard < least:
        heard += load.run(RUN)
    return heard


def test_what_is_heard_is_counted_and_nothing_is_left_in_the_end(
    open_load: Open, pair: Pair
) -> None:
    load = open_load([lane(pair)])
    heard = run_until(load, 2 * CYCLE + 1)
    assert load.finish(PATIENCE)
    counted = sum(load.take_latencies())
    assert heard <= counted <= heard + 4


def test_latencies_that_were_taken_are_not_counted_again(open_load: Open, pair: Pair) -> None:
    load = open_load([lane(pair)])
    load.run(RUN)
    load.finish(PATIENCE)
    load.take_latencies()
    assert sum(load.take_latencies()) == 0


def test_no_more_is_in_flight_than_the_window_allows(open_load: Open, pair: Pair) -> None:
    author, listener = pair
    deaf, unheard = socket.socketpair()
    with deaf, unheard:
        load = open_load([Lane(author, LINES, [unheard], LINES, Pace(window=4))])
        assert load.run(RUN) == 0
        assert listener.recv(10_000) == LINES.twice[: 4 * LINES.length]


def test_where_nothing_is_heard_there_is_nothing_to_measure(pair: Pair) -> None:
    require("cc")
    deaf, unheard = socket.socketpair()
    with deaf, unheard:
        unheard_of = Lane(pair[0], LINES, [unheard], LINES, Pace(window=4))
        target = Target("127.0.0.1", 1, os.getpid(), ChatdDialect())
        with pytest.raises(TimedOut, match=r"nothing was heard in the 0\.02 s"):
            measure_steady([unheard_of], target, Timing(warmup=RUN, seconds=RUN))


def test_messages_at_a_fixed_rate_are_said_when_they_are_due(open_load: Open, pair: Pair) -> None:
    load = open_load([lane(pair, pace=Pace(window=100, interval_s=0.001))])
    start = time.monotonic()
    heard = run_until(load, 10)
    most = (time.monotonic() - start) / 0.001 + 1
    assert heard <= most


@pytest.mark.parametrize(
    "wrong",
    [
        LINES.twice[LINES.length :],
        LINES.twice[: LINES.length] * 2,
        b"x" * LINES.length,
        LINES.twice[: 5 * LINES.length],
    ],
    ids=["one lost", "one doubled", "one changed", "one too many"],
)
def test_whatever_else_is_heard_ends_the_run(open_load: Open, pair: Pair, wrong: bytes) -> None:
    author, _elsewhere = pair
    deaf, unheard = socket.socketpair()
    with deaf, unheard:
        load = open_load([Lane(author, LINES, [unheard], LINES, Pace(window=4))])
        load.run(RUN)
        deaf.sendall(wrong)
        with pytest.raises(WrongAnswer, match="messages and 0 bytes expected"):
            load.run(PATIENCE)


def test_an_author_must_hear_nothing_but_its_answers(open_load: Open, pair: Pair) -> None:
    _author, listener = pair
    load = open_load([lane(pair)])
    listener.sendall(b"hello\n")
    with pytest.raises(WrongAnswer, match="an author that is to be told nothing heard b'hello"):
        load.run(PATIENCE)


def test_a_connection_that_is_lost_ends_the_run(open_load: Open, pair: Pair) -> None:
    author, _listener = pair
    load = open_load([lane(pair)])
    author.shutdown(socket.SHUT_WR)
    with pytest.raises(WrongAnswer, match="connection lost"):
        load.run(PATIENCE)


def test_what_cannot_be_known_is_not_compared(open_load: Open, pair: Pair) -> None:
    author, listener = pair
    says = repeated(b"at 07:11\n", 10)
    hears = repeated(b"at " + ANY * 5 + b"\n", 10)
    load = open_load([Lane(author, says, [listener], hears, Pace(window=10, batch=10))])
    run_until(load, 1)
    assert load.finish(PATIENCE)


def test_an_author_may_be_its_own_listener(open_load: Open, pair: Pair) -> None:
    client, server = pair
    load = open_load([Lane(client, LINES, [client], LINES, Pace(window=4))])
    load.run(RUN)
    server.sendall(server.recv(10_000))
    assert load.finish(PATIENCE)


@pytest.mark.parametrize("ns", [0, 1, 31, 32, 63, 64, 1_000, 12_345, 10**6, 10**9, 10**11])
def test_a_bucket_tells_how_long_it_took_to_two_per_cent(ns: int) -> None:
    assert histogram.middle(histogram.bucket(ns)) == pytest.approx(ns, rel=0.02, abs=0.6)


def test_percentiles_are_those_of_what_was_counted() -> None:
    counts = [0] * histogram.BUCKETS
    for us in range(1, 1_001):
        counts[histogram.bucket(us * 1_000)] += 1
    found = histogram.percentiles(counts)
    expected = {"p50_us": 500, "p99_us": 990, "p999_us": 999, "max_us": 1_000}
    assert found == pytest.approx(expected, rel=0.03)
