"""Figures of whole exchanges: small ones by hand, and long ones whose truth is known."""

import random
import statistics
from bisect import bisect_right
from fractions import Fraction
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.timing.analysis import Summary, analyze, nearest_rank, samples, summarize
from common.timing.record import ExchangeRecord, ReceivedStamp

US = 1_000
MS = 1_000_000
SECOND = 1_000_000_000
START = 1_795_245_060 * SECOND


class World(NamedTuple):
    """Two clocks and the way between them, as nobody inside can see them.

    This side's clock is right. A delay is its floor plus waiting of `jitter` on average,
    exponentially distributed; stamps do not overtake each other, as in TCP.
    """

    offset: int
    skew_ppm: float
    send_floor: int
    receive_floor: int
    jitter: int

    def other_clock(self, true_ns: int) -> int:
        return true_ns + self.offset + round((true_ns - START) * self.skew_ppm / 1_000_000)

    def on_the_wire(self, true_ns: int) -> int:
        return self.other_clock(true_ns) // US * US

    def exchange(self, count: int, *, interval: int = 10 * MS, seed: int = 1) -> ExchangeRecord:
        chance = random.Random(seed)

        def travel(sent: list[int], floor: int) -> list[int]:
            arrived: list[int] = []
            for at in sent:
                due = at + floor + round(chance.expovariate(1 / self.jitter))
                arrived.append(max(due, arrived[-1] if arrived else 0))
            return arrived

        grid = range(START, START + count * interval, interval)
        lateness = [round(chance.expovariate(1 / (100 * US))) for _ in grid]
        sent = [at + late for at, late in zip(grid, lateness, strict=True)]
        other_sent = [at + interval // 3 + round(chance.expovariate(1 / (100 * US))) for at in grid]
        last_received = travel(sent, self.send_floor)
        arrived = travel(other_sent, self.receive_floor)
        record = ExchangeRecord(interval, count, sent, timer_error_ns=lateness)
        for n, (at, arrival) in enumerate(zip(other_sent, arrived, strict=True), 1):
            newest = bisect_right(last_received, at)
            last_received_at = self.on_the_wire(last_received[newest - 1]) if newest else 0
            record.arrivals.append(
                ReceivedStamp(n, self.on_the_wire(at), newest, last_received_at, arrival)
            )
        return record


WORLDS = {
    "one machine": World(0, 0.0, 20 * US, 20 * US, 30 * US),
    "a clock that is 2 min behind": World(-120 * SECOND, 0.0, 400 * US, 400 * US, 200 * US),
    "a clock that gains 40 ppm": World(3 * SECOND, 40.0, 200 * US, 200 * US, 50 * US),
    "a clock that loses 12.5 ppm": World(-7 * MS, -12.5, 200 * US, 200 * US, 50 * US),
    "a slow way there": World(5 * MS, 0.5, 30 * MS, 8 * MS, 300 * US),
    "a slow way back": World(5 * MS, -0.5, 8 * MS, 30 * MS, 300 * US),
}


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS.keys())
def test_offset_and_skew_of_a_minute_are_recovered_within_their_stated_error(world: World) -> None:
    found = analyze(world.exchange(6_000))
    assert found.offset
    true_offset = world.other_clock(found.offset.at_ns) - found.offset.at_ns
    error = found.offset.offset_ns - true_offset
    assert abs(error) <= found.offset.error_bound_ns
    half_asymmetry = (world.send_floor - world.receive_floor) // 2
    assert abs(error - half_asymmetry) <= world.jitter // 4 + US
    floors = world.send_floor + world.receive_floor
    assert abs(found.offset.delay_ns - floors) <= world.jitter // 2 + US

    assert found.skew
    assert abs(found.skew.ppm - world.skew_ppm) <= 0.1
    assert found.skew.spread_ppm <= 0.1


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS.keys())
def test_every_sample_of_a_minute_bounds_the_true_offset(world: World) -> None:
    for sample in samples(world.exchange(6_000)).values():
        true_offset = world.other_clock(sample.at_ns) - sample.at_ns
        beyond_tolerance = 12 * MS * max(0, abs(world.skew_ppm) - 15) / 1_000_000
        assert abs(sample.offset_ns - true_offset) <= sample.error_bound_ns + beyond_tolerance


def test_delays_without_skew_are_their_minimum_plus_jitter() -> None:
    world = World(-120 * SECOND, 0.0, 400 * US, 700 * US, 200 * US)
    found = analyze(world.exchange(6_000))
    assert found.send_delay
    assert found.receive_delay
    assert found.round_trip
    assert found.send_delay.min_ns == pytest.approx(-120 * SECOND + 400 * US, abs=2 * US)
    assert found.receive_delay.min_ns == pytest.approx(120 * SECOND + 700 * US, abs=2 * US)
    assert found.round_trip.mean_ns == pytest.approx(1_100 * US + 2 * 200 * US, rel=0.02)
    assert found.send_pdv
    assert found.send_pdv.min_ns == 0
    assert found.send_pdv.mean_ns == pytest.approx(200 * US, rel=0.05)
    assert found.receive_pdv
    assert found.receive_pdv.stddev_ns == found.receive_delay.stddev_ns
    # The difference of two exponentials is a Laplace distribution: its magnitude has their mean.
    assert found.receive_ipdv
    assert found.receive_ipdv.mean_ns == pytest.approx(200 * US, rel=0.05)


def test_jitter_without_drift_falls_with_the_span_of_the_allan_deviation() -> None:
    found = analyze(WORLDS["one machine"].exchange(6_000))
    short, middle, long, longest = (point.deviation for point in found.stability)
    assert short / middle == pytest.approx(10, rel=0.1)
    assert middle / long == pytest.approx(10, rel=0.1)
    assert long / longest == pytest.approx(10, rel=0.3)


def small() -> ExchangeRecord:
    """Three stamps each way, 10 ms apart: the other clock is 1 s ahead, each way takes 1 ms."""
    return ExchangeRecord(
        interval_ns=10 * MS,
        expected=3,
        sent_ns=[START, START + 10 * MS, START + 20 * MS],
        arrivals=[
            ReceivedStamp(1, START + SECOND + 5 * MS, 1, START + SECOND + 1 * MS, START + 6 * MS),
            ReceivedStamp(
                2, START + SECOND + 15 * MS, 2, START + SECOND + 11 * MS, START + 16 * MS
            ),
            ReceivedStamp(
                3, START + SECOND + 25 * MS, 3, START + SECOND + 23 * MS, START + 26 * MS
            ),
        ],
        send_call_ns=[10_000, 20_000, 30_000],
        timer_error_ns=[0, 100_000, 200_000],
    )


def test_an_exchange_worked_out_by_hand() -> None:
    found = analyze(small())
    means = {title: row.mean_ns for title, row in found.rows()}
    assert means == {
        "round trip": (2 + 2 + 4) * MS // 3 + 1,
        "send delay": SECOND + (1 + 1 + 3) * MS // 3 + 1,
        "receive delay": -SECOND + 1 * MS,
        "round trip IPDV": 1 * MS,
        "send IPDV": 1 * MS,
        "receive IPDV": 0,
        "send call time": 20_000,
        "timer error": 100_000,
        "peer timer error": 0,
        "send PDV": 2 * MS // 3 + 1,
        "receive PDV": 0,
    }
    assert found.offset
    assert (found.offset.offset_ns, found.offset.delay_ns) == (SECOND, 2 * MS)
    assert found.offset.at_ns == START + 6 * MS
    assert found.counts.expected == found.counts.sent == found.counts.received == 3


def test_ipdv_is_summarized_by_its_magnitude() -> None:
    back_and_forth = small()
    back_and_forth.sent_ns[1] += 1 * MS
    found = analyze(back_and_forth)
    assert found.send_ipdv
    assert (found.send_ipdv.min_ns, found.send_ipdv.max_ns) == (1 * MS, 3 * MS)


def test_lateness_is_counted_as_late_as_missed_and_as_stalls() -> None:
    late = small()
    late.timer_error_ns = [0, 999_999, 1 * MS, 10 * MS, 12 * MS, 0, 35 * MS, 25 * MS]
    counts = analyze(late).counts
    assert counts.late == 5
    assert counts.missed_deadlines == 4
    assert counts.stalls == 2
    assert counts.longest_stall_ns == 35 * MS


def test_a_stall_of_the_other_side_shows_in_its_timer_error() -> None:
    stalled = World(0, 0.0, 100 * US, 100 * US, 1).exchange(300)
    for number in range(100, 200):
        arrival = stalled.arrivals[number]
        awake = stalled.arrivals[200].sent_ns - 1 * MS
        stalled.arrivals[number] = msgspec.structs.replace(
            arrival, sent_ns=awake, arrived_ns=awake + 100 * US
        )
    found = analyze(stalled)
    assert found.peer_timer_error
    assert found.peer_timer_error.max_ns == pytest.approx(1_000 * MS, abs=2 * MS)
    assert found.receive_delay
    assert found.receive_delay.max_ns < 1 * MS


def test_an_exchange_without_answers_has_counts_only() -> None:
    silence = ExchangeRecord(
        10 * MS, expected=100, sent_ns=[START], send_call_ns=[5], timer_error_ns=[7]
    )
    found = analyze(silence)
    assert [title for title, _ in found.rows()] == ["send call time", "timer error"]
    assert found.offset is None
    assert found.skew is None
    assert found.stability == ()
    assert (found.counts.expected, found.counts.sent, found.counts.received) == (100, 1, 0)


def test_a_listener_that_never_sends_still_sees_the_receive_delay() -> None:
    listener = small()
    listener.sent_ns = []
    listener.arrivals = [
        msgspec.structs.replace(stamp, last_received=0) for stamp in listener.arrivals
    ]
    found = analyze(listener)
    assert found.round_trip is None
    assert found.send_delay is None
    assert found.receive_delay
    assert found.receive_delay.count == 3


def test_stamps_on_both_sides_of_a_gap_are_no_neighbours() -> None:
    interrupted = small()
    del interrupted.arrivals[1]
    found = analyze(interrupted)
    assert found.round_trip
    assert found.round_trip.count == 2
    assert found.round_trip_ipdv is None
    assert found.receive_ipdv is None


def test_as_json_every_time_is_an_integer_in_ns() -> None:
    report = msgspec.json.decode(msgspec.json.encode(analyze(small())))
    assert report["round_trip"] == {
        "count": 3,
        "min_ns": 2_000_000,
        "mean_ns": 2_666_667,
        "median_ns": 2_000_000,
        "p90_ns": 4_000_000,
        "p99_ns": 4_000_000,
        "p99_9_ns": 4_000_000,
        "max_ns": 4_000_000,
        "stddev_ns": 942_809,
    }
    assert report["offset"]["offset_ns"] == 1_000_000_000
    assert isinstance(report["skew"]["ppm"], float)


SAMPLES = st.lists(st.integers(-(10**18), 10**18), min_size=1, max_size=200)


def test_a_row_worked_out_by_hand() -> None:
    assert summarize([5_000, 1_000, 3_000, 2_000, 4_000]) == Summary(
        count=5,
        min_ns=1_000,
        mean_ns=3_000,
        median_ns=3_000,
        p90_ns=5_000,
        p99_ns=5_000,
        p99_9_ns=5_000,
        max_ns=5_000,
        stddev_ns=1_414,  # the square root of (4 + 1 + 0 + 1 + 4) / 5 is 1.4142
    )


def test_no_samples_have_no_statistics() -> None:
    assert summarize([]) is None


def test_percentiles_of_a_thousand_are_the_ranks_themselves() -> None:
    row = summarize(range(1, 1_001))
    assert row
    assert (row.p90_ns, row.p99_ns, row.p99_9_ns) == (900, 990, 999)


def test_the_median_of_an_even_count_is_between_the_two_in_the_middle() -> None:
    row = summarize([10, 20, 30, 1_000])
    assert row
    assert row.median_ns == 25


def test_years_of_clock_offset_leave_the_standard_deviation_as_it_is() -> None:
    jitter = [3, 1, 4, 1, 5, 9, 2, 6]
    near, far = summarize(jitter), summarize(sample + 10**18 for sample in jitter)
    assert near
    assert far
    assert far.stddev_ns == near.stddev_ns
    assert far.mean_ns == 10**18 + near.mean_ns


@given(SAMPLES)
def test_a_row_agrees_with_the_statistics_of_the_standard_library(samples: list[int]) -> None:
    row = summarize(samples)
    assert row
    exact = [Fraction(sample) for sample in samples]
    assert abs(row.mean_ns - statistics.mean(exact)) <= Fraction(1, 2)
    assert abs(row.median_ns - statistics.median(exact)) <= Fraction(1, 2)
    variance = statistics.pvariance(exact)
    assert row.stddev_ns**2 <= variance < (row.stddev_ns + 1) ** 2
    assert (row.count, row.min_ns, row.max_ns) == (len(samples), min(samples), max(samples))


@given(SAMPLES, st.integers(1, 1_000))
def test_a_percentile_is_the_smallest_sample_that_enough_do_not_exceed(
    samples: list[int], per_mille: int
) -> None:
    def enough(candidate: int) -> bool:
        return sum(sample <= candidate for sample in samples) * 1_000 >= len(samples) * per_mille

    assert nearest_rank(sorted(samples), per_mille) == min(filter(enough, samples))


@pytest.mark.parametrize("per_mille", [1, 500, 999, 1_000])
def test_one_sample_is_every_percentile(per_mille: int) -> None:
    assert nearest_rank([7], per_mille) == 7
