"""How many requests may wait at one neighbour, so that it never runs out and none waits long."""

from typing import Final

_LEAST_TOGETHER: Final = 16
_MOST: Final = 32
_QUICK: Final = 0.25
_SLOW: Final = 0.5


class Window:
    """Requests at one neighbour: at most 32, and at all neighbours together at least 16.

    One more when a reply takes less than 0.25 s, one less when it takes more than 0.5 s, both
    beyond the round trip of the link.
    """

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 1

    def answered(self, delay: float) -> None:
        """Take note that a reply took `delay` s more than on an idle link."""
        if delay < _QUICK:
            self.size = min(self.size + 1, _MOST)
        elif delay > _SLOW:
            self.size = max(self.size - 1, 1)

    def share(self, neighbours: int) -> int:
        """Return how many requests may wait, with so many neighbours (>= 1) in all."""
        return max(self.size, -(-_LEAST_TOGETHER // neighbours))
