"""An absolute schedule of deadlines: what is late is sent late, nothing is skipped or moved."""

from collections.abc import Callable
from typing import Protocol


class TimerSource(Protocol):
    """What wakes the pacer: it has `on_timer` called at the moment that it was set to, or later."""

    def set(self, at_ns: int) -> None:
        """Wake at `at_ns` on the monotonic clock, and again and again until it is set anew."""

    def off(self) -> None:
        """Stop waking."""


class Pacer:
    """Calls `send(now_ns, late_ns)` once for each of the deadlines start + n x interval.

    `now_ns` is the monotonic clock as it was read for this deadline and `late_ns` (ns, >= 0) how
    much earlier the deadline was. After a stall all that are overdue follow at once. As each
    deadline is computed from the start, errors do not add up.
    """

    def __init__(
        self,
        monotonic_ns: Callable[[], int],
        timer: TimerSource,
        interval_ns: int,
        send: Callable[[int, int], object],
    ) -> None:
        self._monotonic_ns = monotonic_ns
        self._timer = timer
        self._interval_ns = interval_ns
        self._send = send
        self._deadline_ns = 0
        self.remaining = 0
        """Deadlines to come."""

    def start(self, count: int) -> None:
        """Start the schedule now: the first of `count` deadlines is one interval away."""
        self._deadline_ns = self._monotonic_ns() + self._interval_ns
        self.remaining = count
        self._timer.set(self._deadline_ns)

    def on_timer(self) -> None:
        """Meet every deadline that has come, and wait for the next."""
        while self.remaining:
            now_ns = self._monotonic_ns()
            late_ns = now_ns - self._deadline_ns
            if late_ns < 0:
                self._timer.set(self._deadline_ns)
                return
            self._deadline_ns += self._interval_ns
            self.remaining -= 1
            self._send(now_ns, late_ns)
        self._timer.off()

    def stop(self) -> None:
        """Meet no more deadlines."""
        self.remaining = 0
        self._timer.off()
