"""Stamps out and in, without a socket."""

import json
from typing import Any

import pytest

from chatctl.errors import ProtocolError
from chatctl.stamping import StampRecorder
from common.clock.analysis import samples
from common.exchange import ExchangeRecord
from common.messages.timestamp import Stamp

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
        (Stamp(1, RECEIVED, 2, RECEIVED), "stamp 2 was heard, but 1 were sent"),
    ],
)
def test_a_stamp_that_cannot_be_is_a_protocol_error(
    harness: StampHarness, stamp: Stamp, problem: str
) -> None:
    harness.recorder.send(1 * MS, 0)
    with pytest.raises(ProtocolError, match=problem):
        harness.recorder.receive(stamp, 2 * MS)
    assert harness.record.arrivals == []
