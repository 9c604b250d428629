"""Where the daemon takes its time from; tests hand in another."""

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
