"""When to read next, so that what others send costs few acknowledgements."""

from typing import Final

SPAN: Final = 0.02
"""How long (s) bytes gather on a slow link before they are read."""

SLOW: Final = 1.6e6
"""Below this rate (B/s) a link is slow: so much less than 20 ms of anything fills no window."""


class Thinning:
    """Watches what one link brings; times are monotonic, in s.

    TCP acknowledges what a program has read. To one that reads at once, nine peers that send it
    3 Mbit/s each cost 1,200 acknowledgements a second, a fifth of an uplink of 3 Mbit/s (RFC 3449
    tells of such paths); what gathers for 20 ms costs 450. On a fast link the pause would cost more
    than the acknowledgements.
    """

    __slots__ = ("_came", "_is_slow", "_since")

    def __init__(self, now: float) -> None:
        self._since = now
        self._came = 0
        self._is_slow = False

    def pause(self, size: int, now: float) -> float:
        """Return how long (s) to read nothing after the `size` bytes that were read at `now`."""
        self._came += size
        if (passed := now - self._since) >= SPAN:
            self._is_slow = self._came < SLOW * passed
            self._since, self._came = now, 0
        return SPAN if self._is_slow else 0.0
