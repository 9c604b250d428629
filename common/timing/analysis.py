"""The statistics of a timestamp exchange: delays, jitter, offset, skew, stability, punctuality."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from math import isqrt
from operator import mul
from typing import Final

from msgspec import Struct

from common.timing.clocks import Skew, Stability, longest_run, skew, stabilities
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
from common.timing.record import ExchangeRecord

LATE_NS: Final = 1_000_000
"""A stamp is late if it is sent 1 ms or more after its deadline: the resolution of loop timers."""


class Summary(Struct, frozen=True):
    """The statistics of `count` samples, in ns.

    Percentiles are by nearest rank (RFC 2330 s. 11.3): p90 is the smallest sample that at least
    90 % of all samples do not exceed, so it always occurred. The median of an even count is the
    mean of the two in the middle, as there. The standard deviation is that of the population
    (divided by the count): it describes these samples and estimates nothing about others.
    """

    count: int
    min_ns: int
    mean_ns: int
    median_ns: int
    p90_ns: int
    p99_ns: int
    p99_9_ns: int
    max_ns: int
    stddev_ns: int


class Counts(Struct, frozen=True):
    """How many stamps there were, and how punctual this side was.

    `late` stamps were sent 1 ms or more after their deadline; `missed_deadlines` counts those sent
    after the next deadline. A stall is a series of missed deadlines, and `longest_stall_ns` is how
    late the latest stamp was.
    """

    expected: int
    sent: int
    received: int
    late: int
    missed_deadlines: int
    stalls: int
    longest_stall_ns: int


class Analysis(Struct, frozen=True):
    """The figures of an exchange; a figure without samples is None.

    The rows have the order of irtt. The timer error of the peer, which irtt lacks, shows when the
    peer stalled. No delay shows that: of the stamps that waited there, only the last is
    acknowledged. IPDV is summarized by magnitude, as in irtt. `offset` is the sample with the least
    error bound, in practice the one of minimum delay (RFC 5905 s. 10). It holds at its `at_ns`;
    `skew` says how fast it changes.
    """

    round_trip: Summary | None
    send_delay: Summary | None
    receive_delay: Summary | None
    round_trip_ipdv: Summary | None
    send_ipdv: Summary | None
    receive_ipdv: Summary | None
    send_call: Summary | None
    timer_error: Summary | None
    peer_timer_error: Summary | None
    send_pdv: Summary | None
    receive_pdv: Summary | None
    offset: Sample | None
    skew: Skew | None
    stability: tuple[Stability, ...]
    counts: Counts

    def rows(self) -> Iterator[tuple[str, Summary]]:
        """Yield the title and the statistics of each row that has samples."""
        for title, row in (
            ("round trip", self.round_trip),
            ("send delay", self.send_delay),
            ("receive delay", self.receive_delay),
            ("round trip IPDV", self.round_trip_ipdv),
            ("send IPDV", self.send_ipdv),
            ("receive IPDV", self.receive_ipdv),
            ("send call time", self.send_call),
            ("timer error", self.timer_error),
            ("peer timer error", self.peer_timer_error),
            ("send PDV", self.send_pdv),
            ("receive PDV", self.receive_pdv),
        ):
            if row:
                yield title, row


def analyze(exchange: ExchangeRecord) -> Analysis:
    """Return the figures of `exchange`; 30,000 stamps each way take well under a second.

    Raises ValueError when the other side acknowledged a stamp that was never sent.
    """
    found = samples(exchange)
    sending, receiving = send_delays(exchange), receive_delays(exchange)
    round_trips = {n: sample.delay_ns for n, sample in found.items()}
    offsets = {n: sample.offset_ns for n, sample in found.items()}
    return Analysis(
        round_trip=summarize(round_trips.values()),
        send_delay=summarize(sending.values()),
        receive_delay=summarize(receiving.values()),
        round_trip_ipdv=summarize(map(abs, ipdv(round_trips))),
        send_ipdv=summarize(map(abs, ipdv(sending))),
        receive_ipdv=summarize(map(abs, ipdv(receiving))),
        send_call=summarize(exchange.send_call_ns),
        timer_error=summarize(exchange.timer_error_ns),
        peer_timer_error=summarize(peer_lateness(exchange)),
        send_pdv=summarize(pdv(sending)),
        receive_pdv=summarize(pdv(receiving)),
        offset=min(found.values(), key=error_bound, default=None),
        skew=skew(
            ((exchange.sent_ns[n - 1], delay) for n, delay in sending.items()),
            ((arrival.sent_ns, receiving[arrival.n]) for arrival in exchange.arrivals),
        ),
        stability=stabilities(longest_run(offsets), exchange.interval_ns),
        counts=_count(exchange),
    )


def samples(exchange: ExchangeRecord) -> dict[int, Sample]:
    """Return offset and delay for each stamp of the other side that acknowledges one, by number.

    Raises ValueError when the other side acknowledged a stamp that was never sent.
    """
    return {
        arrival.n: measure(stamps)
        for arrival in exchange.arrivals
        if (stamps := exchange.four_timestamps(arrival))
    }


def summarize(samples: Iterable[int]) -> Summary | None:
    """Return the statistics of `samples` (ns), or None when there are none.

    Sums are exact; mean and median are rounded to the nearest ns, the standard deviation down.
    """
    ranked = sorted(samples)
    if not ranked:
        return None
    count = len(ranked)
    return Summary(
        count=count,
        min_ns=ranked[0],
        mean_ns=_divide(sum(ranked), count),
        median_ns=_divide(ranked[(count - 1) // 2] + ranked[count // 2], 2),
        p90_ns=nearest_rank(ranked, 900),
        p99_ns=nearest_rank(ranked, 990),
        p99_9_ns=nearest_rank(ranked, 999),
        max_ns=ranked[-1],
        stddev_ns=_standard_deviation(ranked),
    )


def nearest_rank(ranked: Sequence[int], per_mille: int) -> int:
    """Return a percentile of `ranked` (ascending, not empty), given as 1 to 1000 per mille.

    RFC 2330 s. 11.3: the smallest x with F(x) >= y, where F is the empirical distribution function.
    """
    return ranked[-(-len(ranked) * per_mille // 1000) - 1]


def _count(exchange: ExchangeRecord) -> Counts:
    errors, interval_ns = exchange.timer_error_ns, exchange.interval_ns
    missed = [error for error in errors if error >= interval_ns]
    return Counts(
        expected=exchange.expected,
        sent=len(exchange.sent_ns),
        received=len(exchange.arrivals),
        late=sum(error >= LATE_NS for error in errors),
        missed_deadlines=len(missed),
        stalls=sum(behind for behind, _ in groupby(error >= interval_ns for error in errors)),
        longest_stall_ns=max(missed, default=0),
    )


def _standard_deviation(ranked: Sequence[int]) -> int:
    # One-way delays contain the clock offset, which may be years: relative to the smallest sample,
    # the squares stay small. Integers, because the textbook form loses its digits in floats.
    lowest = ranked[0]
    above = [sample - lowest for sample in ranked]
    count = len(above)
    return isqrt(count * sum(map(mul, above, above)) - sum(above) ** 2) // count


def _divide(total: int, count: int) -> int:
    return (2 * total + count) // (2 * count)
