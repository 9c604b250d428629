"""Clock offset, round-trip delay, one-way delays and their variation (RFC 5905, 3393, 5481).

A series maps the number of a stamp to its delay in ns; a lost stamp has no entry. One-way delays
contain the clock offset: they may be negative, and while the clocks are set differently only their
differences mean something. They contain the skew, too.
"""

from collections.abc import Collection, Mapping
from typing import Final, TypeAlias

from msgspec import Struct

from common.timing.record import ExchangeRecord, FourTimestamps

RESOLUTION_NS: Final = 1_000
"""Times on the wire are truncated to whole microseconds."""

TOLERANCE_PPM: Final = 15
"""How fast an undisciplined clock may drift: PHI of RFC 5905 s. 7.2."""

Series: TypeAlias = dict[int, int]


class Sample(Struct, frozen=True, gc=False):
    """Offset and delay from one stamp that arrived, in ns.

    `offset_ns` is how far the other clock is ahead of this one at `at_ns`, when the stamp arrived.
    The true offset is within `error_bound_ns` of it, however asymmetric the path is.
    """

    at_ns: int
    offset_ns: int
    delay_ns: int
    error_bound_ns: int


def measure(stamps: FourTimestamps) -> Sample:
    """Return offset and delay by RFC 5905 s. 8.

    ::

        offset = ((T2 - T1) + (T3 - T4)) / 2
        delay  = (T4 - T1) - (T3 - T2)

    The bound is delay / 2, because one direction may have taken all of the time, plus the
    dispersion that RFC 5905 s. 8 adds: the resolution of the stamps, and TOLERANCE_PPM of the time
    from T1 to T4, in which the clocks drift. The offset is rounded down to whole ns.
    """
    t1, t2, t3, t4 = stamps
    delay = (t4 - t1) - (t3 - t2)
    dispersion = RESOLUTION_NS + abs(t4 - t1) * TOLERANCE_PPM // 1_000_000
    # Drift can make a delay below the clocks' resolution negative; RFC 5905 s. 8 counts it as 0.
    return Sample(t4, (t2 - t1 + t3 - t4) // 2, delay, (max(delay, 0) + 1) // 2 + dispersion)


def error_bound(sample: Sample) -> int:
    """Return the sort key for ``min(samples, key=error_bound)``: the error bound in ns.

    The minimum is the sample of least delay (RFC 5905 s. 10), unless the other side waited long
    before it sent that one.
    """
    return sample.error_bound_ns


def send_delays(exchange: ExchangeRecord) -> Series:
    """Return T2 - T1 (ns) of every stamp that the other side acknowledged.

    If another stamp arrived there before the other side sent its own, only the newer one is
    acknowledged. The T2 of the older one never comes back, and it has no entry.
    """
    delays = {}
    for arrival in exchange.arrivals:
        stamps = exchange.four_timestamps(arrival)
        if stamps:
            delays[arrival.last_received] = stamps.t2 - stamps.t1
    return delays


def receive_delays(exchange: ExchangeRecord) -> Series:
    """Return T4 - T3 (ns) of every stamp that arrived."""
    return {arrival.n: arrival.arrived_ns - arrival.sent_ns for arrival in exchange.arrivals}


def peer_lateness(exchange: ExchangeRecord) -> list[int]:
    """Return how late (ns, >= 0) the other side sent each stamp, by its own clock.

    Its deadlines are one interval apart, and no stamp is sent before its deadline. The first
    deadline is unknown, so the most punctual stamp counts as on time. After a gap in the numbers,
    which a lost connection leaves, the deadlines start again.
    """
    lateness: list[int] = []
    phases: list[int] = []
    last = 0
    for arrival in exchange.arrivals:
        if arrival.n != last + 1:
            lateness += _above_least(phases)
            phases = []
        last = arrival.n
        phases.append(arrival.sent_ns - arrival.n * exchange.interval_ns)
    return lateness + _above_least(phases)


def ipdv(delays: Mapping[int, int]) -> list[int]:
    """Return D(n) - D(n - 1) (ns, signed) of every stamp whose predecessor arrived as well.

    This is inter-packet delay variation (RFC 5481 s. 4.1, RFC 3393 s. 2.4). It is undefined where
    one of the pair is missing.
    """
    return [delay - delays[n - 1] for n, delay in delays.items() if n - 1 in delays]


def pdv(delays: Mapping[int, int]) -> list[int]:
    """Return D(n) - D(min) (ns, >= 0) of every stamp: packet delay variation, RFC 5481 s. 4.2."""
    return _above_least(delays.values())


def _above_least(delays: Collection[int]) -> list[int]:
    least = min(delays, default=0)
    return [delay - least for delay in delays]
