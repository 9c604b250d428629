"""The two ways of an exchange, and how their delays vary.

A series maps the number of a stamp to its delay in ns, so that a stamp that is missing is missing.
One-way delays contain the clock offset: they may be negative, and only their differences mean
something while the clocks are not set alike. Skew is left in as well.


Clock offset and round-trip delay from four timestamps.
"""

from collections import deque
from collections.abc import Collection, Mapping
from typing import Final, TypeAlias

from msgspec import Struct

from common.timing.record import ExchangeRecord, FourTimestamps, ReceivedStamp, check_last_received

Series: TypeAlias = dict[int, int]


def send_delays(exchange: ExchangeRecord) -> Series:
    """Return T2 - T1 (ns) of every stamp that the other side said it heard.

    A stamp that had been overtaken by the next when the other side spoke is missing: its T2 never
    comes back.
    """
    delays = {}
    for arrival in exchange.arrivals:
        stamps = exchange.four_timestamps(arrival)
        if stamps:
            delays[arrival.heard] = stamps.t2 - stamps.t1
    return delays


def receive_delays(exchange: ExchangeRecord) -> Series:
    """Return T4 - T3 (ns) of every stamp that came in."""
    return {arrival.n: arrival.arrived_ns - arrival.sent_ns for arrival in exchange.arrivals}


def peer_lateness(exchange: ExchangeRecord) -> list[int]:
    """Return how late (ns, >= 0) the other side sent each stamp, by its own clock.

    Its deadlines are an interval apart, and what is known of the first is that no stamp came before
    its own: the most punctual counts as on time. Behind a hole in the numbers, which a lost
    connection leaves, they begin anew.
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
    """Return D(n) - D(n - 1) (ns, signed) of every stamp whose predecessor is there too.

    Inter-packet delay variation as in RFC 5481 s. 4.1 and RFC 3393 s. 2.4, undefined where one of
    the pair is missing.
    """
    return [delay - delays[n - 1] for n, delay in delays.items() if n - 1 in delays]


def pdv(delays: Mapping[int, int]) -> list[int]:
    """Return D(n) - D(min) (ns, >= 0) of every stamp: packet delay variation, RFC 5481 s. 4.2."""
    return _above_least(delays.values())


def _above_least(delays: Collection[int]) -> list[int]:
    least = min(delays, default=0)
    return [delay - least for delay in delays]


RESOLUTION_NS: Final = 1_000
"""A time on the wire is cut to whole microseconds."""

TOLERANCE_PPM: Final = 15
"""How fast an undisciplined clock may drift: PHI of RFC 5905 s. 7.2."""

_FILTER_STAGES: Final = 8
_REMEMBERED: Final = 4096


class Sample(Struct, frozen=True, gc=False):
    """What one stamp that came in tells, in ns.

    `offset_ns` is how far the other clock is ahead of this one at `at_ns`, when the stamp arrived.
    The true offset lies within `error_bound_ns` of it, however unequal the two ways are.
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

    The bound is delay / 2, since one way may have taken all of the time, plus the dispersion that
    RFC 5905 s. 8 adds: the resolution of the stamps, and TOLERANCE_PPM of the time from T1 to T4,
    in which the clocks drift. The offset is rounded down to whole ns.
    """
    t1, t2, t3, t4 = stamps
    delay = (t4 - t1) - (t3 - t2)
    dispersion = RESOLUTION_NS + abs(t4 - t1) * TOLERANCE_PPM // 1_000_000
    # Clocks that drift make a delay below their resolution negative; RFC 5905 s. 8 cuts it off.
    return Sample(t4, (t2 - t1 + t3 - t4) // 2, delay, (max(delay, 0) + 1) // 2 + dispersion)


def error_bound(sample: Sample) -> int:
    """Order samples by how far they may be off (ns): ``min(samples, key=error_bound)``.

    That is the sample of minimum delay (RFC 5905 s. 10), except that one which the other side held
    back for long counts for less.
    """
    return sample.error_bound_ns


class ClockFilter:
    """Offset and delay during an exchange, stamp by stamp, for either side.

    It remembers the newest stamps sent (4096), not a whole run, so that a server can afford one for
    every exchange and a client that never answers costs no more than others.
    """

    def __init__(self) -> None:
        self._sent: deque[int] = deque(maxlen=_REMEMBERED)
        self._count = 0
        self._stages: deque[Sample] = deque(maxlen=_FILTER_STAGES)

    def stamp_sent(self, at_ns: int) -> None:
        """Note that the next stamp of this side was sent at `at_ns`."""
        self._sent.append(at_ns)
        self._count += 1

    def stamp_arrived(self, arrival: ReceivedStamp) -> Sample | None:
        """Return what `arrival` tells; None when it answers no stamp that is remembered.

        Raises ValueError when it says that a stamp was heard which was never sent.
        """
        check_last_received(arrival, self._count)
        age = self._count - arrival.heard
        if not arrival.heard or age >= len(self._sent):
            return None
        sent_ns = self._sent[-1 - age]
        newest = measure(
            FourTimestamps(
                sent_ns, arrival.last_received_at_ns, arrival.sent_ns, arrival.arrived_ns
            )
        )
        self._stages.append(newest)
        return newest

    @property
    def best(self) -> Sample | None:
        """The best of the last eight samples, as the clock filter of RFC 5905 s. 10 chooses."""
        return min(self._stages, key=error_bound, default=None)
