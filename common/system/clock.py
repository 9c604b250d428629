"""Where the daemon takes its time from; tests hand in another.

The clock that an exchange is timed with.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for people and files, monotonic time for everything that is measured."""

    def wall_ns(self) -> int:
        """Return ns since the Unix epoch."""

    def monotonic(self) -> float:
        """Return seconds (s) since some fixed moment."""


class SystemClock:
    """The clocks of this machine, with nothing between them and who asks."""

    wall_ns = staticmethod(time.time_ns)
    monotonic = staticmethod(time.monotonic)


class SteadyClock:
    """Wall time at its making plus monotonic time since: nobody sets it during a run.

    A wall clock that is stepped would look like a delay. Adjusting its rate, as NTP does, moves
    both alike.
    """

    def __init__(self) -> None:
        self._epoch_ns = time.time_ns() - time.monotonic_ns()

    def monotonic_ns(self) -> int:
        """Return ns since some fixed moment."""
        return time.monotonic_ns()

    def wall_ns(self, monotonic_ns: int) -> int:
        """Return the ns since the Unix epoch of a moment that `monotonic_ns` returned."""
        return self._epoch_ns + monotonic_ns
