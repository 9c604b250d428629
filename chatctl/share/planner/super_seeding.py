"""Super-seeding (as in BEP 16): a peer sends each of its own pieces once before any of them twice.

A swarm waits for the owner whose pieces take longest through its uplink. So a second copy leaves
only when the first has had time to spread among the others.
"""

from collections import deque
from typing import Final

from chatctl.share.planner.piece_table import Owner, PieceTable

_SPREAD: Final = 0.2


class SuperSeeding:
    """Which of a peer's own pieces were never sent, and which are spreading.

    A piece is unsent until it was sent once or another peer has it. Then it is spreading until
    0.2 s after it arrived: by then others know where to get it. A second copy sent in the meantime
    would delay the last unsent pieces of a slow peer, for which everyone waits: with two slow
    uplinks among five, 1.13 times the lower bound instead of 1.09.
    """

    def __init__(self, table: PieceTable, own: Owner) -> None:
        self._holders = table.holders
        self._own = range(own.base, own.base + own.count)
        self._unsent = deque(self._own)
        self._unreadable: set[int] = set()
        self._spreading: set[int] = set()
        self._delivered: deque[tuple[float, int]] = deque()

    def __bool__(self) -> bool:
        """Tell whether there are unsent pieces."""
        unsent = self._unsent
        while unsent and (self._holders[unsent[0]] or unsent[0] in self._unreadable):
            unsent.popleft()
        return bool(unsent)

    @property
    def due(self) -> float | None:
        """When the next piece will have spread (s); None while none has arrived."""
        return self._delivered[0][0] if self._delivered else None

    def take(self) -> int:
        """Return an unsent piece, which is spreading from now on; there must be one."""
        piece = self._unsent.popleft()
        self._spreading.add(piece)
        return piece

    def is_spreading(self, piece: int) -> bool:
        """Tell whether the first copy of a piece is still spreading."""
        return piece in self._spreading

    def is_readable(self, piece: int) -> bool:
        """Tell whether a piece may be sent: False for an own piece that could not be read."""
        return piece not in self._unreadable

    def on_delivered(self, piece: int, now: float) -> None:
        """Note that the first copy of a piece has arrived."""
        self._delivered.append((now + _SPREAD, piece))

    def restore(self, piece: int) -> None:
        """Mark an own piece as unsent again, because the peer that it was sent to is gone."""
        if piece in self._own:
            self._spreading.discard(piece)
            self._unsent.appendleft(piece)

    def withdraw(self, piece: int) -> None:
        """Stop offering an own piece for good."""
        if piece in self._own:
            self._spreading.discard(piece)
            self._unreadable.add(piece)

    def take_spread(self, now: float) -> list[int]:
        """Return the pieces that have spread since the last call."""
        spread = []
        while self._delivered and self._delivered[0][0] <= now:
            piece = self._delivered.popleft()[1]
            self._spreading.discard(piece)
            spread.append(piece)
        return spread
