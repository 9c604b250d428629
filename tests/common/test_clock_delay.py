from hypothesis import given
from hypothesis import strategies as st

from common.clock.delay import ipdv, pdv, peer_lateness, receive_delays, send_delays
from common.exchange import ExchangeRecord, ReceivedStamp

AHEAD = 1_000_000
SERIES = st.dictionaries(st.integers(1, 50), st.integers(-(10**18), 10**18))


def exchange() -> ExchangeRecord:
    """Stamps 10 apart; the other clock is AHEAD. Of 2 and 3, which came together, 3 was newest."""
    return ExchangeRecord(
        interval_ns=10,
        expected=4,
        sent_ns=[100, 110, 120, 130],
        arrivals=[
            ReceivedStamp(n=1, sent_ns=AHEAD + 101, heard=0, last_received_at_ns=0, arrived_ns=105),
            ReceivedStamp(
                n=2, sent_ns=AHEAD + 111, heard=1, last_received_at_ns=AHEAD + 103, arrived_ns=113
            ),
            ReceivedStamp(
                n=3, sent_ns=AHEAD + 121, heard=1, last_received_at_ns=AHEAD + 103, arrived_ns=130
            ),
            ReceivedStamp(
                n=5, sent_ns=AHEAD + 141, heard=3, last_received_at_ns=AHEAD + 128, arrived_ns=142
            ),
        ],
    )


def test_the_send_delay_of_a_stamp_counts_once_and_contains_the_offset() -> None:
    assert send_delays(exchange()) == {1: AHEAD + 3, 3: AHEAD + 8}


def test_the_receive_delay_contains_the_offset_turned_round() -> None:
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


def test_behind_a_hole_the_deadlines_of_the_other_side_begin_anew() -> None:
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
