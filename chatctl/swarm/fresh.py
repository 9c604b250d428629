"""A peer's own pieces: which of them it never sent, and which have only just left."""

from collections import deque
from typing import Final

from chatctl.swarm.ledger import Ledger, Owner

_SPREAD: Final = 0.2


class Fresh:
    """A piece of one's own is fresh until it was sent once, and nobody has it.

    From then on it is on its way until 0.2 s after it has arrived: by then others know where to
    get it. A second copy sent from here meanwhile would keep the last fresh pieces of a slow peer
    waiting, for which all wait: with two slow uplinks among five, 1.13 times the bound, not 1.09.
    """

    def __init__(self, ledger: Ledger, own: Owner) -> None:
        self._holders = ledger.holders
        self._own = range(own.base, own.base + own.count)
        self._fresh = deque(self._own)
        self._unreadable: set[int] = set()
        self._leaving: set[int] = set()
        self._arrived: deque[tuple[float, int]] = deque()

    def __bool__(self) -> bool:
        """Tell whether there are fresh pieces."""
        fresh = self._fresh
        while fresh and (self._holders[fresh[0]] or fresh[0] in self._unreadable):
            fresh.popleft()
        return bool(fresh)

    @property
    def due(self) -> float | None:
        """When the next piece has spread (s), None while none has arrived."""
        return self._arrived[0][0] if self._arrived else None

    def take(self) -> int:
        """Return a fresh piece, which is on its way from now on; there must be one."""
        piece = self._fresh.popleft()
        self._leaving.add(piece)
        return piece

    def is_leaving(self, piece: int) -> bool:
        """Tell whether a piece is on its way for the first time."""
        return piece in self._leaving

    def is_readable(self, piece: int) -> bool:
        """Tell whether a piece may be sent; only one's own ever may not."""
        return piece not in self._unreadable

    def arrived(self, piece: int, now: float) -> None:
        """Take note that a piece which was fresh has reached somebody."""
        self._arrived.append((now + _SPREAD, piece))

    def came_back(self, piece: int) -> None:
        """Take a piece for fresh again, if it is one's own: who was sent it is gone."""
        if piece in self._own:
            self._leaving.discard(piece)
            self._fresh.appendleft(piece)

    def withdraw(self, piece: int) -> None:
        """Never send a piece again, if it is one's own."""
        if piece in self._own:
            self._leaving.discard(piece)
            self._unreadable.add(piece)

    def take_spread(self, now: float) -> list[int]:
        """Return the pieces that have spread since this was called last."""
        spread = []
        while self._arrived and self._arrived[0][0] <= now:
            piece = self._arrived.popleft()[1]
            self._leaving.discard(piece)
            spread.append(piece)
        return spread
