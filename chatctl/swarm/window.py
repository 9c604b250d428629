"""How many requests may wait at one neighbour, so that it never runs out and none waits long."""

from typing import Final

MAX_WINDOW: Final = 32

_QUICK: Final = 0.25
_SLOW: Final = 0.5
_SPREAD: Final = 16


class Window:
    """Grows by one when a reply takes less than 0.25 s, shrinks by one when more than 0.5 s.

    Together the windows at all neighbours are never below 16, each never above 32.
    """

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 1

    def adapt(self, reply: float, neighbours: int) -> None:
        """Take note that a reply took `reply` s, with so many `neighbours` in all."""
        if reply < _QUICK:
            self.size = min(self.size + 1, MAX_WINDOW)
        elif reply > _SLOW:
            self.size -= 1
        self.widen(neighbours)

    def widen(self, neighbours: int) -> None:
        """Keep to the least that goes with the number of `neighbours` (>= 1)."""
        self.size = max(self.size, -(-_SPREAD // neighbours))
