"""Clock offset, round-trip delay, one-way delays and their variation, worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.timing.delays import (
    Sample,
    error_bound,
    ipdv,
    measure,
    pdv,
    peer_lateness,
    receive_delays,
    send_delays,
)
from common.timing.record import ExchangeRecord, FourTimestamps, ReceivedStamp

AHEAD = 1_000_000
SERIES = st.dictionaries(st.integers(1, 50), st.integers(-(10**18), 10**18))


def exchange() -> ExchangeRecord:
    """Stamps 10 apart; the other clock is AHEAD. Of 2 and 3, which came together, 3 was newest."""
    return ExchangeRecord(
        interval_ns=10,
        expected=4,
        sent_ns=[100, 110, 120, 130],
        arrivals=[
            ReceivedStamp(
                n=1, sent_ns=AHEAD + 101, last_received=0, last_received_at_ns=0, arrived_ns=105
            ),
            ReceivedStamp(
                n=2,
                sent_ns=AHEAD + 111,
                last_received=1,
                last_received_at_ns=AHEAD + 103,
                arrived_ns=113,
            ),
            ReceivedStamp(
                n=3,
                sent_ns=AHEAD + 121,
                last_received=1,
                last_received_at_ns=AHEAD + 103,
                arrived_ns=130,
            ),
            ReceivedStamp(
                n=5,
                sent_ns=AHEAD + 141,
                last_received=3,
                last_received_at_ns=AHEAD + 128,
                arrived_ns=142,
            ),
        ],
    )


def test_the_send_delay_of_a_stamp_counts_once_and_contains_the_offset() -> None:
    assert send_delays(exchange()) == {1: AHEAD + 3, 3: AHEAD + 8}


def test_the_receive_delay_contains_the_negative_offset() -> None:
    assert receive_delays(exchange()) == {1: 4 - AHEAD, 2: 2 - AHEAD, 3: 9 - AHEAD, 5: 1 - AHEAD}


def test_ipdv_is_signed_and_undefined_after_a_missing_stamp() -> None:
    assert ipdv(receive_delays(exchange())) == [-2, 7]
    assert ipdv(send_delays(exchange())) == []


def test_pdv_is_above_the_least_delay() -> None:
    assert pdv(receive_delays(exchange())) == [3, 1, 8, 0]
    assert pdv({}) == []


def test_the_other_side_is_as_late_as_it_lags_behind_its_most_punctual_stamp() -> None:
    late = exchange()
    late.arrivals = [
        ReceivedStamp(n, AHEAD + 10 * n + lag, 0, 0, 0) for n, lag in [(1, 4), (2, 9), (3, 4)]
    ]
    assert peer_lateness(late) == [0, 5, 0]


def test_after_a_gap_the_deadlines_of_the_other_side_start_again() -> None:
    moved = exchange()
    moved.arrivals = [
        ReceivedStamp(n, at, 0, 0, 0) for n, at in [(1, 10), (2, 21), (7, 503), (8, 510), (9, 522)]
    ]
    assert peer_lateness(moved) == [0, 1, 3, 0, 2]
    moved.arrivals = []
    assert peer_lateness(moved) == []


@given(SERIES, st.integers(-(10**18), 10**18))
def test_variation_does_not_depend_on_how_the_clocks_are_set(
    delays: dict[int, int], offset: int
) -> None:
    shifted = {n: delay + offset for n, delay in delays.items()}
    assert ipdv(shifted) == ipdv(delays)
    assert pdv(shifted) == pdv(delays)


SECOND = 1_000_000_000


def answer(n: int, last_received: int, *, delay_ns: int = 0) -> ReceivedStamp:
    """A stamp of a clock set like ours, which is on its way for `delay_ns`."""
    return ReceivedStamp(
        n,
        sent_ns=1_500,
        last_received=last_received,
        last_received_at_ns=1_500,
        arrived_ns=1_500 + delay_ns,
    )


def test_four_timestamps_worked_out_by_hand() -> None:
    # The other clock is 5,000 ahead; 30 there, held for 10, 20 back.
    assert measure(FourTimestamps(1_000, 6_030, 6_040, 1_060)) == Sample(
        at_ns=1_060,
        offset_ns=5_005,
        delay_ns=50,
        error_bound_ns=25 + 1_000,
    )


def test_the_other_side_measures_the_negative_offset() -> None:
    here = measure(FourTimestamps(1_000, 6_030, 6_040, 1_060))
    there = measure(FourTimestamps(6_040, 1_060, 1_070, 6_100))
    assert (here.offset_ns, there.offset_ns) == (5_005, -5_005)


def test_time_for_clocks_to_drift_widens_the_bound_by_15_ppm_of_it() -> None:
    held = measure(FourTimestamps(0, 100, 2 * SECOND, 2 * SECOND + 100))
    assert held.delay_ns == 200
    assert held.error_bound_ns == 100 + 1_000 + 30_000


def test_a_negative_delay_counts_as_none() -> None:
    assert measure(FourTimestamps(0, 0, 400, 300)).delay_ns == -100
    assert measure(FourTimestamps(0, 0, 400, 300)).error_bound_ns == 1_000


@given(
    offset=st.integers(-(10**18), 10**18),
    drift_ppm=st.integers(-15, 15),
    ways=st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)),
    hold=st.integers(0, 10**10),
)
def test_the_true_offset_is_within_the_bound_however_unequal_the_ways(
    offset: int, drift_ppm: int, ways: tuple[int, int], hold: int
) -> None:
    there, back = ways
    t1 = 10**18
    t4 = t1 + there + hold + back

    def on_the_wire(true_ns: int) -> int:
        other = true_ns + offset + (true_ns - t4) * drift_ppm // 1_000_000
        return other // 1_000 * 1_000

    measured = measure(
        FourTimestamps(t1, on_the_wire(t1 + there), on_the_wire(t1 + there + hold), t4)
    )
    whole_ns = 2  # this test and the formula round down
    assert abs(measured.offset_ns - offset) <= measured.error_bound_ns + whole_ns


def test_a_stamp_that_waited_long_is_not_the_best_however_small_its_delay() -> None:
    prompt = measure(FourTimestamps(0, 50_000, 60_000, 110_000))
    stale = measure(FourTimestamps(0, 50_000, 5 * SECOND + 60_000, 5 * SECOND + 10_000))
    assert stale.delay_ns < prompt.delay_ns
    assert min(stale, prompt, key=error_bound) is prompt


def test_a_record_brings_the_four_timestamps_together() -> None:
    exchange = ExchangeRecord(interval_ns=10, expected=3, sent_ns=[100, 110, 120])
    arrival = ReceivedStamp(
        n=1, sent_ns=5_118, last_received=2, last_received_at_ns=5_113, arrived_ns=123
    )
    assert exchange.four_timestamps(arrival) == FourTimestamps(110, 5_113, 5_118, 123)


def test_a_stamp_that_acknowledges_none_yields_no_timestamps() -> None:
    exchange = ExchangeRecord(interval_ns=10, expected=3)
    assert exchange.four_timestamps(answer(1, last_received=0)) is None


@pytest.mark.parametrize("last_received", [3, -1])
def test_a_stamp_that_was_never_sent_cannot_be_acknowledged(last_received: int) -> None:
    exchange = ExchangeRecord(interval_ns=10, expected=3, sent_ns=[1, 2])
    reason = f"stamp 9 acknowledges stamp {last_received}, but 2 were sent"
    with pytest.raises(ValueError, match=reason):
        exchange.four_timestamps(answer(9, last_received))
