"""The server's side of one exchange: its grid of deadlines, and how punctual it was."""

from collections import Counter
from itertools import accumulate
from typing import Final

from msgspec import Struct

from chatd.wheel import TICKS

LATE_NS: Final = 1_000_000
"""A stamp is late from 1 ms after its deadline on: the resolution of the wheel."""

_SECOND_NS: Final = 1_000_000_000
_TICK_NS: Final = _SECOND_NS // TICKS
_STEP_NS: Final = 10_000


class Punctuality(Struct, frozen=True):
    """How late stamps were sent: how many by 1 ms or more, and percentiles in ms, to 0.01 ms."""

    late: int
    median: float
    p99: float
    max: float


class Grid:
    """Deadlines at start + n x interval for n from 1 to `count`, kept in whole ticks.

    `start` is a tick, `interval_ns` > 0. A deadline between two ticks is met at the later.
    """

    __slots__ = ("_interval_ns", "_late_steps", "count", "deadline", "sent", "start")

    def __init__(self, start: int, interval_ns: int, count: int) -> None:
        self.start = start
        self.count = count
        self.sent = 0
        """Stamps that were sent."""
        self._interval_ns = interval_ns
        # Few steps ever occur, so that this stays small however long the exchange.
        self._late_steps: Counter[int] = Counter()
        self.deadline = self._next()
        """The tick of the next stamp."""

    @property
    def left(self) -> int:
        """Stamps that are still to be sent."""
        return self.count - self.sent

    def send(self, now: float) -> int:
        """Note that the next stamp is sent at `now` (s, monotonic); return its number."""
        late_ns = int(now * _SECOND_NS) - self.deadline * _TICK_NS
        self._late_steps[late_ns // _STEP_NS if late_ns > 0 else 0] += 1
        self.sent += 1
        self.deadline = self._next()
        return self.sent

    def punctuality(self) -> Punctuality:
        """Return how late the stamps were so far."""
        steps = sorted(self._late_steps.items())
        return Punctuality(
            late=sum(count for step, count in steps if step * _STEP_NS >= LATE_NS),
            median=self._percentile(steps, 0.5),
            p99=self._percentile(steps, 0.99),
            max=self._percentile(steps, 1.0),
        )

    def _next(self) -> int:
        elapsed_ns = (self.sent + 1) * self._interval_ns
        return self.start - (-elapsed_ns // _TICK_NS)  # rounded up

    def _percentile(self, steps: list[tuple[int, int]], share: float) -> float:
        """Return the least lateness (ms) that at least `share` of the stamps do not exceed."""
        sums = accumulate(count for _, count in steps)
        reached = sum(total < share * self.sent for total in sums)
        return steps[reached][0] * _STEP_NS / 1e6 if steps else 0.0
