"""The server's side of one exchange: its grid of deadlines, and what it counts."""

from array import array
from math import ceil

from msgspec import Struct

from chatd.wheel import TICKS

LATE_US: int = 1_000
"""A stamp is late from this many us after its deadline on: the resolution of the wheel."""


class Punctuality(Struct, frozen=True):
    """How late stamps were sent: how many by 1 ms or more, and percentiles in us."""

    late: int
    median_us: int
    p99_us: int
    max_us: int


class Grid:
    """Deadlines at start + n x interval for n from 1 to `count`, kept in whole ticks.

    `start` is a tick; `interval` in seconds (s). A deadline between two ticks is met at the later.
    """

    def __init__(self, start: int, interval: float, count: int) -> None:
        self.start = start
        self.count = count
        self.sent = 0
        """Stamps that were sent."""
        self._interval = interval * TICKS
        self._lateness_us = array("I")

    def __len__(self) -> int:
        return self.count - self.sent

    def deadline(self) -> int:
        """Return the tick of the next stamp."""
        # Rounded first: 3 x 0.1 is a little more than 0.3 and would cost a whole tick.
        return self.start + ceil(round((self.sent + 1) * self._interval, 6))

    def send(self, now: float) -> int:
        """Note that the next stamp is sent at `now` (s, monotonic); return its number."""
        late = now - self.deadline() / TICKS
        self._lateness_us.append(max(0, round(late * 1e6)))
        self.sent += 1
        return self.sent

    def punctuality(self) -> Punctuality:
        """Return how late the stamps were so far."""
        ordered = sorted(self._lateness_us) or [0]
        last = len(ordered) - 1
        return Punctuality(
            late=sum(late >= LATE_US for late in ordered),
            median_us=ordered[last // 2],
            p99_us=ordered[ceil(last * 0.99)],
            max_us=ordered[-1],
        )
