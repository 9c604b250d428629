"""The two ways of an exchange, and how their delays vary.

A series maps the number of a stamp to its delay in ns, so that a stamp that is missing is missing.
One-way delays contain the clock offset: they may be negative, and only their differences mean
something while the clocks are not set alike. Skew is left in as well.
"""

from collections.abc import Collection, Mapping
from typing import TypeAlias

from common.exchange import ExchangeRecord

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
