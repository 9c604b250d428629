"""Deadlines that many exchanges share, and how punctual each of them was."""

from collections import defaultdict
from itertools import accumulate
from typing import Final

from msgspec import Struct

from chatd.wheel import TICKS

LATE_NS: Final = 1_000_000
"""A stamp is late from 1 ms after its deadline on: the resolution of the wheel."""

TICK_NS: Final = 1_000_000_000 // TICKS
_STEP_NS: Final = 10_000
_STEPS: Final = TICK_NS // _STEP_NS


class Grid(Struct):
    """Deadlines every `interval_ns` (> 0), the next at `due_ns` (monotonic), met in whole ticks.

    A deadline between two ticks is met at the later.
    """

    interval_ns: int
    due_ns: int

    @property
    def tick(self) -> int:
        """The tick of the next deadline."""
        return -(-self.due_ns // TICK_NS)

    def pass_due(self, now: float) -> list[int]:
        """Return the ticks of the deadlines that have come by `now` (s), and wait for the next."""
        due = []
        while (tick := self.tick) <= now * TICKS:
            due.append(tick)
            self.due_ns += self.interval_ns
        return due


class Punctuality(Struct, frozen=True):
    """How late stamps were sent: how many by 1 ms or more, and percentiles in ms, to 0.01 ms."""

    late: int
    median: float
    p99: float
    max: float


class Lateness:
    """Every tick's lateness, kept to 0.01 ms."""

    __slots__ = ("_steps",)

    def __init__(self) -> None:
        # Few steps ever occur, so that this stays small however long the exchange.
        self._steps: defaultdict[int, int] = defaultdict(int)

    def note(self, tick: int, now: float) -> None:
        """Count what was due at `tick` and is sent at `now` (s), no earlier."""
        self._steps[int((now * TICKS - tick) * _STEPS)] += 1

    def punctuality(self) -> Punctuality:
        """Return how late the stamps were so far."""
        steps = sorted(self._steps.items())
        return Punctuality(
            late=sum(count for step, count in steps if step * _STEP_NS >= LATE_NS),
            median=_percentile(steps, 0.5),
            p99=_percentile(steps, 0.99),
            max=_percentile(steps, 1.0),
        )


def _percentile(steps: list[tuple[int, int]], share: float) -> float:
    """Return the least lateness (ms) that at least `share` of the stamps do not exceed."""
    sums = list(accumulate(count for _, count in steps))
    if not sums:
        return 0.0
    reached = sum(total < share * sums[-1] for total in sums)
    return steps[reached][0] * _STEP_NS / 1e6
