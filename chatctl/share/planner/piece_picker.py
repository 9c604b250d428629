"""Piece picker: which piece to ask a peer for, and in the endgame, whose request to take over.

- Only pieces that the peer has, that are missing here, and that nobody was asked for.
- The rarest first, so that no piece exists only once for long. The rarest of a sample of eight is
  nearly as good as the rarest of all, takes the same time however many there are, and keeps peers
  from all asking for the same piece.
- While a peer has own pieces that it never sent, it chooses among those itself (`RequestAny`).
- Where nothing is left to ask for, a request that is answered late elsewhere is taken over. Without
  this endgame the last pieces wait for the slowest peer: 1.14 times the lower bound instead of 1.02
  with half of ten uplinks slow, 1.27 with one.
"""

from collections.abc import Iterable
from random import Random
from typing import Final, NamedTuple

from chatctl.share.planner.peer_state import PeerState, Requested
from chatctl.share.planner.piece_table import MISSING, PieceTable

_SAMPLE: Final = 8


def pick_piece(peer: PeerState, table: PieceTable, random: Random) -> int | None:
    """Return the piece to request from a peer next; None when it has nothing to ask for."""
    requested, state, holders = peer.requested, table.state, table.holders
    candidates, uniform = requested.candidates, random.random
    own = table.owners.get(peer.id) if peer.has_unsent else None
    reserved = range(own.base, own.base + own.count) if own else range(0)
    best, fewest, drawn = None, 1 << 16, 0
    while candidates and drawn < _SAMPLE:
        place = int(uniform() * len(candidates))
        piece = candidates[place]
        if state[piece] != MISSING or piece in requested.cancelled or not peer.has(piece):
            # No longer a candidate. If it becomes one again, it is added again.
            candidates[place] = candidates[-1]
            candidates.pop()
            continue
        drawn += 1
        if holders[piece] < fewest and piece not in reserved:
            best, fewest = piece, holders[piece]
    return best


_GAIN: Final = 0.05


class StolenRequest(NamedTuple):
    """A request to take over: cancel `piece` at the peer `slower`."""

    slower: PeerState
    piece: int


def find_request_to_steal(
    peer: PeerState, peers: Iterable[PeerState], now: float
) -> StolenRequest | None:
    """Return the request to another peer that `peer` should take over, None if there is none.

    Of the requests that `peer` could answer it is the one whose answer is expected last. `peer`
    must be expected to answer it at least 50 ms and a round trip earlier.
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
    """Return when an answer is expected that comes after `before` others.

    A peer that is silent for longer than its answer interval is assumed to be that slow from now.
    """
    late = now - requested.last_answer_at
    return (
        now
        + (before + 1) * max(requested.answer_interval, late)
        - min(requested.answer_interval, late)
    )
