"""Endgame: whose request a peer takes over when there is nothing else to ask it for.

Without it the last pieces wait for the slowest: 1.14 times the bound instead of 1.02 with half of
ten uplinks slow, 1.27 with one.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from chatctl.swarm.neighbour import PeerState, Requested

_GAIN: Final = 0.05


class StolenRequest(NamedTuple):
    """Cancel `piece` at `slower`, and ask for it here."""

    slower: PeerState
    piece: int


def find_request_to_steal(
    peer: PeerState, peers: Iterable[PeerState], now: float
) -> StolenRequest | None:
    """Return the request elsewhere whose answer is expected last of those `peer` could answer.

    None unless `peer` is expected to answer more than 50 ms (one round trip more if it is far)
    earlier.
    """
    requested = peer.requested
    latest = now + peer.round_trip + (requested.waiting + 1) * requested.answer_interval + _GAIN
    found = None
    for other in peers:
        if other is peer or not other.requested.pieces:
            continue
        place = other.requested.waiting
        for piece in reversed(other.requested.pieces):
            place -= 1
            due = _due(other.requested, 0 if piece == other.requested.arriving else place, now)
            if due <= latest:
                break
            if peer.has(piece) and piece not in requested.cancelled:
                found, latest = StolenRequest(other, piece), due
                break
    return found


def _due(requested: Requested, before: int, now: float) -> float:
    """Return when an answer is expected that comes after so many others.

    A peer that is silent for longer than its answer interval is taken to be as slow as that.
    """
    late = now - requested.last_answer_at
    return (
        now
        + (before + 1) * max(requested.answer_interval, late)
        - min(requested.answer_interval, late)
    )
