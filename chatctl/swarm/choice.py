"""Which piece to ask a peer for: the rarest of a few."""

from random import Random
from typing import Final

from chatctl.swarm.ledger import MISSING, PieceTable
from chatctl.swarm.neighbour import PeerState

_SAMPLE: Final = 8


def pick_piece(peer: PeerState, table: PieceTable, random: Random) -> int | None:
    """Return a piece that the peer has and this side lacks and did not ask for, or None.

    The rarest of eight drawn at random is nearly as good as the rarest of all, and takes the same
    time however many there are. Drawing also keeps peers from all asking for the same piece. Which
    of its own pieces leaves while some are unsent, the peer itself chooses.
    """
    requested, state, holders = peer.requested, table.state, table.holders
    candidates, uniform = requested.candidates, random.random
    own = table.owners.get(peer.id) if peer.has_unsent else None
    reserved = range(own.base, own.base + own.count) if own else range(0)
    best, fewest, drawn = None, 1 << 16, 0
    while candidates and drawn < _SAMPLE:
        place = int(uniform() * len(candidates))
        piece = candidates[place]
        if state[piece] != MISSING or piece in requested.cancelled or not peer.has(piece):
            # It was a candidate once. A piece that is lacked again is put in again.
            candidates[place] = candidates[-1]
            candidates.pop()
            continue
        drawn += 1
        if holders[piece] < fewest and piece not in reserved:
            best, fewest = piece, holders[piece]
    return best
