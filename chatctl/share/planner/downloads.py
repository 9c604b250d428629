"""Downloads: which peers have which pieces, what to request from whom, and their answers."""

from random import Random
from typing import Final

from chatctl.share.planner.actions import ProtocolViolationError
from chatctl.share.planner.peer_state import MAX_OPEN_REQUESTS, PeerState
from chatctl.share.planner.piece_picker import find_request_to_steal, pick_piece
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

_REQUEST_ANY: Final = RequestAny()
_INTERVAL_WEIGHT: Final = 0.25
_REVIEW: Final = 0.25
_SNUBBED_AFTER: Final = 5.0
_DROP_AFTER: Final = 120.0


class Downloads:
    """Keeps a window of requests open at each peer.

    `send_requests` fills the windows of the peers for which something changed. `review` looks at
    all of them every 0.25 s, because a peer with nothing else to send may take over requests that
    wait elsewhere.
    """

    def __init__(self, table: PieceTable, peers: dict[str, PeerState], random: Random) -> None:
        self._table = table
        self._peers = peers
        self._random = random
        self._changed: dict[PeerState, None] = {}
        self.review_due: float | None = None
        """When to call `review` (s); None while no request is open."""

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
        """Note that a peer no longer has a piece."""
        if peer.has(piece):
            peer.bitfield[piece >> 3] ^= BIT[piece & 7]
            self._table.holders[piece] -= 1

    def mark_missing(self, piece: int) -> None:
        """Mark a piece as missing, so that it is requested again."""
        self._table.set_state(piece, MISSING)
        for peer in self._peers.values():
            if peer.has(piece):
                peer.requested.candidates.append(piece)
                self._changed[peer] = None

    def mark_changed(self, peer: PeerState) -> None:
        """Look at a peer again, even though it has no new piece."""
        self._changed[peer] = None

    def remove_peer(self, peer: PeerState) -> None:
        """Forget a disconnected peer; its requests go to others."""
        self._changed.pop(peer, None)
        for piece in set_bits(peer.bitfield, 0):
            self._table.holders[piece] -= 1
        for piece in peer.requested.pieces:
            if self._table.state[piece] == REQUESTED:
                self.mark_missing(piece)

    # Answers

    def on_piece_header(self, peer: PeerState, piece: int) -> None:
        """Handle the header of a piece; raises ProtocolViolationError when it answers nothing."""
        requested = peer.requested
        if piece not in requested.pieces and piece not in requested.cancelled:
            if not requested.any_requests or self._table.owner_of(piece).id != peer.id:
                raise ProtocolViolationError("it sent a piece that was not requested")
            requested.pieces[piece] = requested.any_requests.popleft()
            if self._table.state[piece] == MISSING:
                self._table.set_state(piece, REQUESTED)
        requested.arriving = piece

    def on_piece(self, peer: PeerState, piece: int, now: float) -> bool:
        """Note that all bytes of a piece arrived; return False when it is a duplicate."""
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
            # Its request was taken over, but the slower peer's answer was faster after all.
            for other in self._peers.values():
                if piece in other.requested.pieces:
                    self._cancel(other, piece)
        return True

    def on_reject_any(self, peer: PeerState, now: float) -> None:
        """Handle the `Reject` of a `RequestAny`."""
        if not peer.requested.any_requests:
            raise ProtocolViolationError("it rejected a request that was not made")
        peer.requested.any_requests.popleft()
        self._note_answer(peer, now)

    def on_reject(self, peer: PeerState, piece: int, now: float) -> None:
        """Handle the `Reject` of a `RequestPiece`."""
        requested = peer.requested
        if piece in requested.cancelled:
            requested.cancelled.remove(piece)
            if self._table.state[piece] == MISSING:  # the peer that took it over is gone
                requested.candidates.append(piece)
        elif requested.pieces.pop(piece, None) is not None:
            self.remove_have(peer, piece)
            if self._table.state[piece] == REQUESTED:
                self.mark_missing(piece)
        else:
            raise ProtocolViolationError("it rejected a piece that was not requested")
        self._note_answer(peer, now)

    def _note_answer(self, peer: PeerState, now: float) -> None:
        peer.requested.last_answer_at = now
        self._changed[peer] = None

    # Requests

    def send_requests(self, now: float) -> None:
        """Fill the request windows of the peers for which something changed."""
        for peer in self._changed:
            self._fill_window(peer, now)
        self._changed.clear()

    def review(self, now: float) -> list[PeerState]:
        """Look at all peers again; return those that answered nothing for 120 s.

        A peer that still has unsent own pieces is not among them: it may be serving others first.
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
        free = min(limit, MAX_OPEN_REQUESTS - len(requested.cancelled)) - waiting
        while free > 0 and self._request_one(peer, now):
            free -= 1
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
