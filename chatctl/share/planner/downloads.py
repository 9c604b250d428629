"""The receiving half: who has what, what is asked of whom, and what comes of it.

Which piece to ask a peer for: the rarest of a few.
Endgame: whose request a peer takes over when there is nothing else to ask it for.

Without it the last pieces wait for the slowest: 1.14 times the bound instead of 1.02 with half of
ten uplinks slow, 1.27 with one.

"""

from collections.abc import Iterable
from random import Random
from typing import Final, NamedTuple

from chatctl.share.planner.actions import ProtocolViolationError
from chatctl.share.planner.peer_state import MAX_OPEN_REQUESTS, PeerState, Requested
from chatctl.share.planner.piece_table import (
    BIT,
    MISSING,
    REQUESTED,
    VERIFYING,
    Owner,
    PieceTable,
    set_bits,
)
from common.messages.peer_wire import Cancel, RequestAny, RequestPiece

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


_REQUEST_ANY: Final = RequestAny()
_INTERVAL_WEIGHT: Final = 0.25
_REVIEW: Final = 0.25
_SNUBBED_AFTER: Final = 5.0
_DROP_AFTER: Final = 120.0


class Downloads:
    """Keeps at each peer a window of requests.

    Peers for which something changed are remembered, and asked when the turn ends. Those that
    have nothing more to give are looked at again every 0.25 s, because they may take over requests
    that wait elsewhere.
    """

    def __init__(self, table: PieceTable, peers: dict[str, PeerState], random: Random) -> None:
        self._table = table
        self._peers = peers
        self._random = random
        self._changed: dict[PeerState, None] = {}
        self.review_due: float | None = None
        """When to `review` (s); None while nothing is asked."""

    # Who has what

    def add_have(self, peer: PeerState, piece: int) -> None:
        """Note that a peer has a piece."""
        bit = BIT[piece & 7]
        if peer.bitfield[piece >> 3] & bit:
            return
        peer.bitfield[piece >> 3] |= bit
        self._table.holders[piece] += 1
        state = self._table.state[piece]
        if state == MISSING:
            peer.requested.candidates.append(piece)
        if state <= REQUESTED:
            self._changed[peer] = None

    def add_have_all(self, peer: PeerState, owner: Owner) -> None:
        """Note that a peer has all pieces of an owner."""
        for piece in range(owner.base, owner.base + owner.count):
            self.add_have(peer, piece)
        self._changed[peer] = None

    def remove_have(self, peer: PeerState, piece: int) -> None:
        """Note that a peer has a piece no more."""
        if peer.has(piece):
            peer.bitfield[piece >> 3] ^= BIT[piece & 7]
            self._table.holders[piece] -= 1

    def mark_missing(self, piece: int) -> None:
        """Take a piece for one that is not here, and that is asked of nobody."""
        self._table.set_state(piece, MISSING)
        for peer in self._peers.values():
            if peer.has(piece):
                peer.requested.candidates.append(piece)
                self._changed[peer] = None

    def mark_changed(self, peer: PeerState) -> None:
        """Have it looked at what may be asked of a peer, although it has nothing more."""
        self._changed[peer] = None

    def remove_peer(self, peer: PeerState) -> None:
        """Forget a peer, which is connected no more."""
        self._changed.pop(peer, None)
        for piece in set_bits(peer.bitfield, 0):
            self._table.holders[piece] -= 1
        for piece in peer.requested.pieces:
            if self._table.state[piece] == REQUESTED:
                self.mark_missing(piece)

    # Answers

    def on_piece_header(self, peer: PeerState, piece: int) -> None:
        """Take the header of a piece; raises ProtocolViolationError when it answers nothing."""
        requested = peer.requested
        if piece not in requested.pieces and piece not in requested.cancelled:
            if not requested.any_requests or self._table.owner_of(piece).id != peer.id:
                raise ProtocolViolationError("it sends a piece that it was not asked for")
            requested.pieces[piece] = requested.any_requests.popleft()
            if self._table.state[piece] == MISSING:
                self._table.set_state(piece, REQUESTED)
        requested.arriving = piece

    def on_piece(self, peer: PeerState, piece: int, now: float) -> bool:
        """Take note that the bytes of a piece are here; False when they were here before."""
        requested = peer.requested
        requested.arriving = None
        requested.got += 1
        elapsed = now - requested.last_answer_at
        requested.answer_interval += (
            (elapsed - requested.answer_interval) * _INTERVAL_WEIGHT
            if requested.answer_interval
            else elapsed
        )
        peer.mark_dirty()
        self._note_answer(peer, now)
        since = requested.pieces.pop(piece, None)
        if since is None:
            requested.cancelled.discard(piece)
        else:
            requested.window.on_answered(now - since - peer.round_trip)
        state = self._table.state[piece]
        if state > REQUESTED:
            return False
        self._table.set_state(piece, VERIFYING)
        if since is None and state == REQUESTED:
            # Its request was stolen, and it came from where it was asked for before.
            for other in self._peers.values():
                if piece in other.requested.pieces:
                    self._cancel(other, piece)
        return True

    def on_reject_any(self, peer: PeerState, now: float) -> None:
        """Take a `Reject` for a `RequestAny`."""
        if not peer.requested.any_requests:
            raise ProtocolViolationError("it denies a new piece that it was not asked for")
        peer.requested.any_requests.popleft()
        self._note_answer(peer, now)

    def on_reject(self, peer: PeerState, piece: int, now: float) -> None:
        """Take a `Reject` for a `RequestPiece`."""
        requested = peer.requested
        if piece in requested.cancelled:
            requested.cancelled.remove(piece)
        elif requested.pieces.pop(piece, None) is not None:
            self.remove_have(peer, piece)
            if self._table.state[piece] == REQUESTED:
                self.mark_missing(piece)
        else:
            raise ProtocolViolationError("it denies a piece that it was not asked for")
        self._note_answer(peer, now)

    def _note_answer(self, peer: PeerState, now: float) -> None:
        peer.requested.last_answer_at = now
        self._changed[peer] = None

    # Questions

    def send_requests(self, now: float) -> None:
        """Ask those peers for which something changed for as much as their windows allow."""
        for peer in self._changed:
            self._fill_window(peer, now)
        self._changed.clear()

    def review(self, now: float) -> list[PeerState]:
        """Have all peers looked at again; return those that did not answer for 120 s.

        One that still has pieces that it never sent may serve others first for as long as that.
        """
        self.review_due = None
        silent = []
        for peer in self._peers.values():
            requested = peer.requested
            is_open = requested.pieces or requested.cancelled or requested.any_requests
            if is_open:
                self.review_due = now + _REVIEW
            if is_open and not peer.has_unsent and now - requested.last_answer_at > _DROP_AFTER:
                requested.last_answer_at = now
                silent.append(peer)
            self._changed[peer] = None
        return silent

    def _fill_window(self, peer: PeerState, now: float) -> None:
        requested = peer.requested
        waiting = requested.waiting
        if not waiting and not requested.cancelled:
            requested.last_answer_at = now
        elif now - requested.last_answer_at > _SNUBBED_AFTER and not peer.has_unsent:
            return
        limit = requested.window.limit(len(self._peers))
        room = min(limit, MAX_OPEN_REQUESTS - len(requested.cancelled)) - waiting
        while room > 0 and self._request_one(peer, now):
            room -= 1
        if requested.waiting > waiting and self.review_due is None:
            self.review_due = now + _REVIEW

    def _request_one(self, peer: PeerState, now: float) -> bool:
        requested = peer.requested
        if self._may_request_any(peer):
            requested.any_requests.append(now)
            peer.send(_REQUEST_ANY)
            return True
        piece = pick_piece(peer, self._table, self._random)
        if piece is not None:
            self._table.set_state(piece, REQUESTED)
        else:
            stolen = find_request_to_steal(peer, self._peers.values(), now)
            if stolen is None:
                return False
            piece = stolen.piece
            self._cancel(stolen.slower, piece)
        requested.pieces[piece] = now
        peer.send(RequestPiece(*self._table.name(piece)))
        return True

    def _may_request_any(self, peer: PeerState) -> bool:
        if not peer.has_unsent or peer.id not in peer.agreed_owners:
            return False
        return len(peer.requested.any_requests) < self._table.owners[peer.id].missing

    def _cancel(self, peer: PeerState, piece: int) -> None:
        del peer.requested.pieces[piece]
        peer.requested.cancelled.add(piece)
        peer.send(Cancel(*self._table.name(piece)))
