"""Stamps out and in, without a socket.

The schedule of deadlines on a clock that a test moves.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatctl.errors import ProtocolError
from chatctl.timestamp.stamps import Pacer, StampRecorder
from common.messages.timestamp import Stamp
from common.timing.analysis import samples
from common.timing.record import ExchangeRecord

MS = 1_000_000
SECOND = 1_000_000_000
EPOCH = 1_795_245_060 * SECOND
"""2026-11-21T07:11:00Z."""
RECEIVED = "2026-11-21T07:11:00.004000Z"


class StampHarness:
    """Fakes for what a recorder needs: a connection, a file, a clock whose writes take 20 us."""

    host = "192.0.2.254"
    local_host = "192.0.2.1"

    def __init__(self, expected: int = 3) -> None:
        self.record = ExchangeRecord(10 * MS, expected)
        self.lines: list[dict[str, Any]] = []
        self.rows: list[str] = []
        self.now_ns = 0
        self.recorder = self.make_recorder()

    def make_recorder(self) -> StampRecorder:
        return StampRecorder(self, self.record, self, self)

    def write(self, line: bytes) -> None:
        self.now_ns += 20_000
        self.lines.append(json.loads(line))
        assert line.endswith(b"}\n")

    def monotonic_ns(self) -> int:
        return self.now_ns

    def wall_ns(self, monotonic_ns: int) -> int:
        return EPOCH + monotonic_ns

    def start_block(self) -> None:
        raise AssertionError("stamps do not begin blocks")

    def end_block(self, duration_ns: int, *, broken_off: bool) -> None:
        raise AssertionError("stamps do not end blocks")

    def add(self, row: str) -> None:
        self.rows.append(row)


@pytest.fixture
def harness() -> StampHarness:
    return StampHarness()


def test_a_stamp_says_when_it_was_sent_and_what_was_received(harness: StampHarness) -> None:
    harness.recorder.send(10 * MS, 0)
    harness.recorder.receive(Stamp(1, RECEIVED), 12 * MS)
    harness.recorder.send(20 * MS, 0)
    assert harness.lines == [
        {"code": "stamp", "n": 1, "sent": "2026-11-21T07:11:00.010000Z"},
        {
            "code": "stamp",
            "n": 2,
            "sent": "2026-11-21T07:11:00.020000Z",
            "heard": 1,
            "heard_at": "2026-11-21T07:11:00.012000Z",
        },
    ]


def test_lateness_and_the_cost_of_sending_are_recorded(harness: StampHarness) -> None:
    harness.now_ns = 10 * MS
    harness.recorder.send(10 * MS, 5_000)
    assert harness.record.sent_ns == [EPOCH + 10 * MS]
    assert harness.record.timer_error_ns == [5_000]
    assert harness.record.send_call_ns == [20_000]


def test_the_four_timestamps_of_an_arrival_come_together(harness: StampHarness) -> None:
    harness.recorder.send(2 * MS, 0)
    answer = Stamp(1, "2026-11-21T07:11:00.005000Z", 1, RECEIVED)
    harness.recorder.receive(answer, 6 * MS)
    (arrival,) = harness.record.arrivals
    stamps = harness.record.four_timestamps(arrival)
    assert stamps == (EPOCH + 2 * MS, EPOCH + 4 * MS, EPOCH + 5 * MS, EPOCH + 6 * MS)


def test_both_directions_go_to_the_file_as_the_senders_dated_them(harness: StampHarness) -> None:
    harness.recorder.send(10 * MS, 0)
    harness.recorder.receive(Stamp(1, RECEIVED), 12 * MS)
    assert harness.rows == [
        "192.0.2.1 | 192.0.2.254 | 2026-11-21T07:11:00.010000Z",
        "192.0.2.254 | 192.0.2.1 | " + RECEIVED,
    ]


def test_it_is_complete_when_all_went_out_and_as_many_came_in() -> None:
    harness = StampHarness(expected=1)
    assert not harness.recorder.is_complete
    harness.recorder.receive(Stamp(1, RECEIVED), 1 * MS)
    assert not harness.recorder.is_complete
    harness.recorder.send(10 * MS, 0)
    assert harness.recorder.is_complete


def test_on_another_connection_own_numbers_go_on_and_the_others_stand_behind_a_hole(
    harness: StampHarness,
) -> None:
    harness.recorder.send(10 * MS, 0)
    for n in (1, 2):
        harness.recorder.receive(Stamp(n, RECEIVED, 1, RECEIVED), 11 * MS)
    again = harness.make_recorder()
    assert again.expected == 2
    again.send(20 * MS, 0)
    again.receive(Stamp(1, RECEIVED, 2, RECEIVED), 21 * MS)
    again.send(30 * MS, 0)
    assert [line["n"] for line in harness.lines] == [1, 2, 3]
    assert [arrival.n for arrival in harness.record.arrivals] == [1, 2, 4]
    # What the other side is told to be heard is its own number, not that of the record.
    assert harness.lines[-1]["heard"] == 1
    assert "heard" not in harness.lines[1]
    assert set(samples(harness.record)) == {1, 2, 4}


@pytest.mark.parametrize(
    ("stamp", "problem"),
    [
        (Stamp(1, "noon"), "'noon' is not a UTC time"),
        (Stamp(1, RECEIVED, 1, "noon"), "'noon' is not a UTC time"),
        (Stamp(1, RECEIVED, 1), "'' is not a UTC time"),
        (Stamp(1, RECEIVED, 2, RECEIVED), "acknowledges stamp 2, but 1 were sent"),
    ],
)
def test_a_stamp_that_cannot_be_is_a_protocol_error(
    harness: StampHarness, stamp: Stamp, problem: str
) -> None:
    harness.recorder.send(1 * MS, 0)
    with pytest.raises(ProtocolError, match=problem):
        harness.recorder.receive(stamp, 2 * MS)
    assert harness.record.arrivals == []


class FakeTimer:
    """A clock and the timer on it; `wakeups` counts how often it woke."""

    def __init__(self) -> None:
        self.now_ns = 5_000 * MS
        self.set_to: int | None = None
        self.wakeups = 0

    def monotonic_ns(self) -> int:
        return self.now_ns

    def set(self, at_ns: int) -> None:
        self.set_to = at_ns

    def off(self) -> None:
        self.set_to = None

    def advance(self, ns: int, on_timer: Callable[[], None]) -> None:
        """Let time pass, and wake when it is time."""
        end_ns = self.now_ns + ns
        while self.set_to is not None and self.set_to <= end_ns:
            self.now_ns = max(self.now_ns, self.set_to)
            self.wakeups += 1
            on_timer()
        self.now_ns = end_ns


class PacerHarness:
    """A pacer and what it sent: when, and how late (ns)."""

    def __init__(self, interval_ns: int = 10 * MS, *, sending_takes: int = 0) -> None:
        self.timer = FakeTimer()
        self.sent: list[tuple[int, int]] = []
        self.pacer = Pacer(self.timer.monotonic_ns, self.timer, interval_ns, self.send)
        self._sending_takes = sending_takes

    def send(self, now_ns: int, late_ns: int) -> None:
        self.sent.append((now_ns - 5_000 * MS, late_ns))
        self.timer.now_ns += self._sending_takes

    def advance(self, ns: int) -> None:
        self.timer.advance(ns, self.pacer.on_timer)

    def stall(self, ns: int) -> None:
        """Let time pass without anybody noticing."""
        self.timer.now_ns += ns


def test_the_first_deadline_is_one_interval_after_the_start() -> None:
    harness = PacerHarness()
    harness.pacer.start(3)
    harness.advance(10 * MS - 1)
    assert harness.sent == []
    harness.advance(1)
    assert harness.sent == [(10 * MS, 0)]


def test_there_are_as_many_as_asked_for_and_then_the_timer_is_off() -> None:
    harness = PacerHarness()
    harness.pacer.start(3)
    harness.advance(1_000 * MS)
    assert [at for at, _ in harness.sent] == [10 * MS, 20 * MS, 30 * MS]
    assert harness.pacer.remaining == 0
    assert harness.timer.set_to is None


def test_after_a_stall_all_that_is_overdue_is_sent_at_once_each_as_late_as_it_is() -> None:
    harness = PacerHarness()
    harness.pacer.start(6)
    harness.stall(45 * MS)
    harness.advance(0)
    assert harness.sent == [(45 * MS, late * MS) for late in (35, 25, 15, 5)]
    harness.advance(100 * MS)
    assert harness.sent[4:] == [(50 * MS, 0), (60 * MS, 0)]


def test_sending_that_takes_longer_than_the_interval_skips_nothing() -> None:
    harness = PacerHarness(sending_takes=25 * MS)
    harness.pacer.start(4)
    harness.advance(10 * MS)
    assert [late for _, late in harness.sent] == [0, 15 * MS, 30 * MS, 45 * MS]


def test_a_timer_that_fires_early_sends_nothing_and_is_set_again() -> None:
    harness = PacerHarness()
    harness.pacer.start(1)
    harness.timer.set_to = None
    harness.pacer.on_timer()
    assert harness.sent == []
    assert harness.timer.set_to == 5_010 * MS


def test_it_can_be_stopped() -> None:
    harness = PacerHarness()
    harness.pacer.start(9)
    harness.advance(20 * MS)
    harness.pacer.stop()
    assert harness.timer.set_to is None
    harness.pacer.on_timer()
    assert len(harness.sent) == 2


def test_it_may_stop_itself_while_it_sends() -> None:
    timer = FakeTimer()
    sent: list[int] = []

    def send(now_ns: int, _late_ns: int) -> None:
        sent.append(now_ns)
        pacer.stop()

    pacer = Pacer(timer.monotonic_ns, timer, 10 * MS, send)
    pacer.start(9)
    timer.advance(1_000 * MS, pacer.on_timer)
    assert len(sent) == 1


@given(st.integers(1, 10**9), st.lists(st.integers(0, 10**9), min_size=1, max_size=40))
def test_however_time_passes_each_deadline_is_met_once_in_order_and_never_early(
    interval_ns: int, stalls: list[int]
) -> None:
    harness = PacerHarness(interval_ns)
    harness.pacer.start(20)
    for stall in stalls:
        harness.stall(stall)
        harness.advance(0)
    harness.advance(20 * interval_ns)
    deadlines = [at - late for at, late in harness.sent]
    assert deadlines == [n * interval_ns for n in range(1, 21)]
    assert all(late >= 0 for _, late in harness.sent)
    assert harness.timer.wakeups <= 20
