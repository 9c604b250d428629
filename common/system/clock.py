"""Clocks: wall time for people and files, monotonic time for measurements."""

import time
from typing import Protocol


class Clock(Protocol):
    """The two clocks that the daemon reads; tests pass their own."""

    def wall_ns(self) -> int:
        """Return ns since the Unix epoch."""

    def monotonic(self) -> float:
        """Return seconds (s) since some fixed moment; never goes backwards."""


class SystemClock:
    """The clocks of this machine, called directly."""

    wall_ns = staticmethod(time.time_ns)
    monotonic = staticmethod(time.monotonic)


class SteadyClock:
    """The wall clock of a measurement: wall time at its start plus monotonic time since.

    If someone steps the system's wall clock meanwhile, that does not look like a delay. NTP, which
    adjusts the rate of a clock, adjusts both alike.
    """

    def __init__(self) -> None:
        self._epoch_ns = time.time_ns() - time.monotonic_ns()

    def monotonic_ns(self) -> int:
        """Return ns since some fixed moment; never goes backwards."""
        return time.monotonic_ns()

    def wall_ns(self, monotonic_ns: int) -> int:
        """Return ns since the Unix epoch for a moment that `monotonic_ns` returned."""
        return self._epoch_ns + monotonic_ns
