"""How fast something grows, at best."""

from collections import deque
from typing import Final

RATE_WINDOW: Final = 1.0
"""Seconds (s) over which a rate is taken."""


class RateMeter:
    """The rates of a counter, in units a second, over windows of 1 s.

    As long as it has moved for less than that, the rate is that of the time in which it moved.
    """

    def __init__(self, now: float) -> None:
        self.best = 0.0
        """The best rate of all windows."""
        self._has_window = False
        self._samples = deque([(now, 0)])

    @property
    def rate(self) -> float:
        """The rate over the last window."""
        (began, before), (ended, now) = self._samples[0], self._samples[-1]
        return (now - before) / (ended - began) if ended > began else 0.0

    def sample(self, now: float, count: int) -> None:
        """Note that the counter stands at `count`, and that it is `now` (s, monotonic)."""
        samples = self._samples
        before = samples[-1][1]
        samples.append((now, count))
        while len(samples) > 2 and (now - samples[1][0] >= RATE_WINDOW or not samples[1][1]):
            samples.popleft()
        if count == before:
            return
        if now - samples[0][0] < RATE_WINDOW and not self._has_window:
            self.best = self.rate
        elif now - samples[0][0] >= RATE_WINDOW:
            self.best = max(self.best, self.rate) if self._has_window else self.rate
            self._has_window = True
