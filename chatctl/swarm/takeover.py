"""The move: whose request a neighbour takes over when there is nothing else to ask it for.

Without it the last pieces wait for the slowest: 1.14 times the bound instead of 1.02 with half of
ten uplinks slow, 1.27 with one.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from chatctl.swarm.neighbour import Asked, Neighbour

_GAIN: Final = 0.05


class Move(NamedTuple):
    """Cancel `piece` at `slower`, and ask for it here."""

    slower: Neighbour
    piece: int


def find_move(neighbour: Neighbour, neighbours: Iterable[Neighbour], now: float) -> Move | None:
    """Return the request elsewhere whose answer is expected last of those `neighbour` could answer.

    None unless `neighbour` is expected to answer more than 50 ms (one round trip more if it is far)
    earlier.
    """
    asked = neighbour.asked
    latest = now + neighbour.round_trip + (asked.waiting + 1) * asked.pace + _GAIN
    found = None
    for other in neighbours:
        if other is neighbour or not other.asked.pieces:
            continue
        place = other.asked.waiting
        for piece in reversed(other.asked.pieces):
            place -= 1
            due = _due(other.asked, 0 if piece == other.asked.incoming else place, now)
            if due <= latest:
                break
            if neighbour.has(piece) and piece not in asked.cancelled:
                found, latest = Move(other, piece), due
                break
    return found


def _due(asked: Asked, before: int, now: float) -> float:
    """Return when an answer is expected that comes after so many others.

    A neighbour that is silent for longer than its pace is taken to be as slow as that.
    """
    late = now - asked.answered_at
    return now + (before + 1) * max(asked.pace, late) - min(asked.pace, late)
