"""How many requests may wait at one peer, so that it never runs out and none waits long."""

from typing import Final

_MIN_TOTAL: Final = 16
_MAX: Final = 32
_FAST: Final = 0.25
_SLOW: Final = 0.5


class RequestWindow:
    """Requests at one peer: at most 32, and at all peers together at least 16.

    One more when a reply takes less than 0.25 s, one less when it takes more than 0.5 s, both
    beyond the round trip of the connection.
    """

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 1

    def on_answered(self, delay: float) -> None:
        """Take note that a reply took `delay` s more than on an idle connection."""
        if delay < _FAST:
            self.size = min(self.size + 1, _MAX)
        elif delay > _SLOW:
            self.size = max(self.size - 1, 1)

    def limit(self, peers: int) -> int:
        """Return how many requests may wait, with so many peers (>= 1) in all."""
        return max(self.size, -(-_MIN_TOTAL // peers))
