"""Stamps out and in, without a socket."""

import json
from typing import Any

import pytest

from chatctl.errors import ProtocolError
from chatctl.stamping import Stamping
from common.clock.analysis import samples
from common.exchange import Exchange
from common.messages.timestamp import Stamp

MS = 1_000_000
SECOND = 1_000_000_000
EPOCH = 1_795_245_060 * SECOND
"""2026-11-21T07:11:00Z."""
HEARD = "2026-11-21T07:11:00.004000Z"


class House:
    """The other rooms, all of them fake: a wire, a file, a clock whose writes take 20 us."""

    host = "192.0.2.254"
    local_host = "192.0.2.1"

    def __init__(self, expected: int = 3) -> None:
        self.record = Exchange(10 * MS, expected)
        self.lines: list[dict[str, Any]] = []
        self.rows: list[str] = []
        self.now_ns = 0
        self.stamping = self.connect()

    def connect(self) -> Stamping:
        return Stamping(self, self.record, self, self)

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
def house() -> House:
    return House()


def test_a_stamp_says_when_it_was_sent_and_what_was_heard(house: House) -> None:
    house.stamping.send(10 * MS, 0)
    house.stamping.take(Stamp(1, HEARD), 12 * MS)
    house.stamping.send(20 * MS, 0)
    assert house.lines == [
        {"code": "stamp", "n": 1, "sent": "2026-11-21T07:11:00.010000Z"},
        {
            "code": "stamp",
            "n": 2,
            "sent": "2026-11-21T07:11:00.020000Z",
            "heard": 1,
            "heard_at": "2026-11-21T07:11:00.012000Z",
        },
    ]


def test_lateness_and_the_cost_of_sending_are_recorded(house: House) -> None:
    house.now_ns = 10 * MS
    house.stamping.send(10 * MS, 5_000)
    assert house.record.sent_ns == [EPOCH + 10 * MS]
    assert house.record.timer_error_ns == [5_000]
    assert house.record.send_call_ns == [20_000]


def test_the_four_timestamps_of_an_arrival_come_together(house: House) -> None:
    house.stamping.send(2 * MS, 0)
    answer = Stamp(1, "2026-11-21T07:11:00.005000Z", 1, HEARD)
    house.stamping.take(answer, 6 * MS)
    (arrival,) = house.record.arrivals
    stamps = house.record.four_timestamps(arrival)
    assert stamps == (EPOCH + 2 * MS, EPOCH + 4 * MS, EPOCH + 5 * MS, EPOCH + 6 * MS)


def test_both_directions_go_to_the_file_as_the_senders_dated_them(house: House) -> None:
    house.stamping.send(10 * MS, 0)
    house.stamping.take(Stamp(1, HEARD), 12 * MS)
    assert house.rows == [
        "192.0.2.1 | 192.0.2.254 | 2026-11-21T07:11:00.010000Z",
        "192.0.2.254 | 192.0.2.1 | " + HEARD,
    ]


def test_it_is_complete_when_all_went_out_and_as_many_came_in() -> None:
    house = House(expected=1)
    assert not house.stamping.is_complete
    house.stamping.take(Stamp(1, HEARD), 1 * MS)
    assert not house.stamping.is_complete
    house.stamping.send(10 * MS, 0)
    assert house.stamping.is_complete


def test_on_another_connection_own_numbers_go_on_and_the_others_stand_behind_a_hole(
    house: House,
) -> None:
    house.stamping.send(10 * MS, 0)
    for n in (1, 2):
        house.stamping.take(Stamp(n, HEARD, 1, HEARD), 11 * MS)
    again = house.connect()
    assert again.expected == 2
    again.send(20 * MS, 0)
    again.take(Stamp(1, HEARD, 2, HEARD), 21 * MS)
    again.send(30 * MS, 0)
    assert [line["n"] for line in house.lines] == [1, 2, 3]
    assert [arrival.n for arrival in house.record.arrivals] == [1, 2, 4]
    # What the other side is told to be heard is its own number, not that of the record.
    assert house.lines[-1]["heard"] == 1
    assert "heard" not in house.lines[1]
    assert set(samples(house.record)) == {1, 2, 4}


@pytest.mark.parametrize(
    ("stamp", "problem"),
    [
        (Stamp(1, "noon"), "'noon' is not a UTC time"),
        (Stamp(1, HEARD, 1, "noon"), "'noon' is not a UTC time"),
        (Stamp(1, HEARD, 1), "'' is not a UTC time"),
        (Stamp(1, HEARD, 2, HEARD), "stamp 2 was heard, but 1 were sent"),
    ],
)
def test_a_stamp_that_cannot_be_is_a_fault_of_the_server(
    house: House, stamp: Stamp, problem: str
) -> None:
    house.stamping.send(1 * MS, 0)
    with pytest.raises(ProtocolError, match=problem):
        house.stamping.take(stamp, 2 * MS)
    assert house.record.arrivals == []
