"""How much may be on its way to all neighbours, so that the uplink is never idle nor hoards."""

from collections import deque
from typing import Final

_LEAST: Final = 2.0
_MOST: Final = 64.0
_STEP: Final = 0.5
_QUICK: Final = 0.15
_SLOW: Final = 0.3
_RECENT: Final = 8


class Budget:
    """Pieces sent and not yet acknowledged, over all links: 2 to 64.

    Half a piece more when an acknowledgement takes less than 0.15 s, half a piece less when it
    takes more than 0.3 s and so did the best of the last eight more than 0.15 s: one slow reader
    alone says nothing of the uplink.
    """

    __slots__ = ("_delays", "_limit", "in_flight")

    def __init__(self) -> None:
        self.in_flight = 0
        self._limit = 4.0
        self._delays: deque[float] = deque(maxlen=_RECENT)

    @property
    def has_room(self) -> bool:
        """Whether one piece more may be sent."""
        return self.in_flight < int(self._limit)

    def adapt(self, delay: float) -> None:
        """Take note that a piece was acknowledged `delay` s after it was sent."""
        self._delays.append(delay)
        if delay < _QUICK:
            self._limit = min(self._limit + _STEP, _MOST)
        elif delay > _SLOW and min(self._delays) > _QUICK:
            self._limit = max(self._limit - _STEP, _LEAST)
