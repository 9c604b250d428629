"""The clock that an exchange is timed with."""

import time


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
