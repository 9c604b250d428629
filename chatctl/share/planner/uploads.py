"""Uploads: which requested piece goes to whom next, and how many are in flight."""

from collections import deque
from typing import Final

from chatctl.share.planner.actions import ProtocolViolationError
from chatctl.share.planner.peer_state import MAX_OPEN_REQUESTS, PeerState, SentPiece
from chatctl.share.planner.piece_table import HAVE, Owner, PieceTable
from chatctl.share.planner.super_seeding import SuperSeeding
from common.messages.peer_wire import Piece, Reject

_FIRST: Final = 4.0
_MIN: Final = 2.0
_MAX: Final = 64.0
_STEP: Final = 0.5
_FAST: Final = 0.2
_SLOW: Final = 0.4
_RECENT: Final = 8


class SendWindow:
    """Congestion window: how many pieces may be in flight over all connections (2 to 64).

    It keeps the uplink busy without queueing more than needed. It grows by half a piece when an
    acknowledgement takes less than 0.2 s, and shrinks by half a piece when one takes more than
    0.4 s, both beyond the round trip of the connection. One slow reader alone says nothing about
    this uplink, so it shrinks only if the best of the last eight took 0.2 s, too.

    A piece in flight cannot be cancelled, whereas one that waits can still go to the peer that it
    helps most. A fixed window of 64 pieces takes 2.4 times the lower bound where this one takes
    1.02.
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
        """Note that a piece was acknowledged, `delay` s later than on an idle connection."""
        self._recent.append(delay)
        if delay < _FAST:
            if not self.has_room:  # otherwise the window is not what limits the uplink
                self._limit = min(self._limit + _STEP, _MAX)
        elif delay > _SLOW and min(self._recent) > _FAST:
            self._limit = max(self._limit - _STEP, _MIN)
        self.in_flight -= 1


_REJECT_ANY: Final = Reject()
_INTERVAL_WEIGHT: Final = 0.125


class Uploads:
    """Answers the requests of peers, as fast as the send window allows.

    A request that waits can still be cancelled. While there are unsent pieces they go out before
    anything else, each once. Without this rule a swarm takes 2.5 times the lower bound.
    """

    def __init__(self, table: PieceTable, own: Owner, peers: dict[str, PeerState]) -> None:
        self._table = table
        self._peers = peers
        self._super_seeding = SuperSeeding(table, own)
        self._requesters: dict[PeerState, None] = {}
        self._send_window = SendWindow()
        self._waiting = 0
        self._any_requests = 0
        self._piece_interval = 0.0
        self._acknowledged_at = 0.0

    @property
    def has_unsent(self) -> bool:
        """Whether this peer has own pieces that it never sent."""
        return bool(self._super_seeding)

    @property
    def is_super_seeding(self) -> bool:
        """Whether peers request unsent pieces, so that nothing else is sent."""
        return self._any_requests > 0 and self.has_unsent

    @property
    def due(self) -> float | None:
        """When `send_pieces` has more to send (s), even if nothing happens until then."""
        return self._super_seeding.due

    @property
    def upload_backlog(self) -> float:
        """How long (s) it takes to send everything that was requested."""
        return self._piece_interval * (
            self._send_window.in_flight + self._waiting + self._any_requests
        )

    # Requests

    def on_request_any(self, peer: PeerState) -> None:
        """Handle a `RequestAny`; raises ProtocolViolationError when too many requests are open."""
        self._check_open(peer)
        if self.has_unsent:
            peer.requesting.any_requests += 1
            self._any_requests += 1
        else:
            peer.send(_REJECT_ANY)

    def on_request(self, peer: PeerState, piece: int) -> None:
        """Handle a `RequestPiece`; raises ProtocolViolationError when too many are open."""
        self._check_open(peer)
        requesting = peer.requesting
        if piece in requesting.pieces or piece in requesting.deferred:
            raise ProtocolViolationError("it asks for a piece again before the first answer")
        if self._table.state[piece] != HAVE or not self._super_seeding.is_readable(piece):
            self._reject(peer, piece)
            return
        self._waiting += 1
        if self._super_seeding.is_spreading(piece):
            requesting.deferred[piece] = None
        else:
            requesting.pieces[piece] = None
            self._requesters[peer] = None

    def cancel(self, peer: PeerState, piece: int) -> None:
        """Handle a `Cancel`; no effect when the answer was already sent."""
        requesting = peer.requesting
        if piece in requesting.deferred:
            del requesting.deferred[piece]
            self._waiting -= 1
        elif piece in requesting.pieces:
            self._dequeue(peer, piece)
        else:
            return
        self._reject(peer, piece)

    def on_acknowledged(self, peer: PeerState, got: int, now: float) -> None:
        """Note how many pieces a peer got; raises ProtocolViolationError when it cannot be."""
        requesting = peer.requesting
        more = got - requesting.acknowledged
        if not more:
            return
        if not 0 < more <= len(requesting.sent):
            raise ProtocolViolationError(
                f"it acknowledges {got} pieces, after {requesting.acknowledged} before "
                f"and with {len(requesting.sent)} in flight"
            )
        requesting.acknowledged = got
        for _ in range(more):
            last = requesting.sent.popleft()
            if last.is_first_copy:
                self._super_seeding.on_delivered(last.piece, now)
            self._send_window.on_acknowledged(now - last.at - peer.round_trip)
        elapsed = (now - max(self._acknowledged_at, last.at)) / more
        self._piece_interval += (
            (elapsed - self._piece_interval) * _INTERVAL_WEIGHT if self._piece_interval else elapsed
        )
        self._acknowledged_at = now

    def piece_unreadable(self, peer: PeerState, piece: int) -> None:
        """Take a piece out of those in flight and reject its request: it could not be read."""
        self.withdraw(piece)
        sent = peer.requesting.sent
        for place, each in enumerate(sent):
            if each.piece == piece:
                del sent[place]
                self._send_window.in_flight -= 1
                if each.is_first_copy:
                    peer.send(_REJECT_ANY)
                else:
                    self._reject(peer, piece)
                return

    def withdraw(self, piece: int) -> None:
        """Stop offering an own piece for good."""
        self._super_seeding.withdraw(piece)
        self._resume_deferred(piece)

    def remove_peer(self, peer: PeerState) -> None:
        """Forget a disconnected peer; pieces that it did not acknowledge count as unsent."""
        requesting = peer.requesting
        self._requesters.pop(peer, None)
        self._waiting -= len(requesting.pieces) + len(requesting.deferred)
        self._any_requests -= requesting.any_requests
        self._send_window.in_flight -= len(requesting.sent)
        for each in requesting.sent:
            self._super_seeding.restore(each.piece)
            self._resume_deferred(each.piece)

    # Sending

    def send_pieces(self, now: float) -> bool:
        """Send as much as the send window allows; return whether anything was sent."""
        for piece in self._super_seeding.take_spread(now):
            self._resume_deferred(piece)
        in_flight = self._send_window.in_flight
        while self._send_window.has_room and (self._send_unsent(now) or self._send_queued(now)):
            pass
        if self._any_requests and not self.has_unsent:
            for peer in self._peers.values():
                for _ in range(peer.requesting.any_requests):
                    peer.send(_REJECT_ANY)
                peer.requesting.any_requests = 0
            self._any_requests = 0
        return self._send_window.in_flight > in_flight

    def _send_unsent(self, now: float) -> bool:
        if not self.has_unsent:
            return False
        requesters = [each for each in self._peers.values() if _may_get_any(each)]
        if not requesters:
            return False
        best = min(requesters, key=_priority)
        best.requesting.any_requests -= 1
        self._any_requests -= 1
        self._send(best, self._super_seeding.take(), now, is_first_copy=True)
        return True

    def _send_queued(self, now: float) -> bool:
        """Send to the peer with the fewest pieces in flight the rarest piece that it requested."""
        if not self._requesters:
            return False
        peer = min(self._requesters, key=_priority)
        piece = min(peer.requesting.pieces, key=self._table.holders.__getitem__)
        self._dequeue(peer, piece)
        self._send(peer, piece, now, is_first_copy=False)
        return True

    def _send(self, peer: PeerState, piece: int, now: float, *, is_first_copy: bool) -> None:
        owner = self._table.owner_of(piece)
        index = piece - owner.base
        peer.send(Piece(owner.id, index, owner.length(index)))
        peer.requesting.sent.append(SentPiece(piece, now, is_first_copy))
        self._send_window.in_flight += 1

    def _resume_deferred(self, piece: int) -> None:
        """Queue the requests for a piece that waited for its first copy to spread."""
        for peer in self._peers.values():
            if piece in peer.requesting.deferred:
                del peer.requesting.deferred[piece]
                peer.requesting.pieces[piece] = None
                self._requesters[peer] = None

    def _dequeue(self, peer: PeerState, piece: int) -> None:
        self._waiting -= 1
        del peer.requesting.pieces[piece]
        del self._requesters[peer]
        if peer.requesting.pieces:  # last in line again, so that peers take turns
            self._requesters[peer] = None

    def _check_open(self, peer: PeerState) -> None:
        if peer.requesting.open >= MAX_OPEN_REQUESTS:
            raise ProtocolViolationError(f"it has more than {MAX_OPEN_REQUESTS} requests open")

    def _reject(self, peer: PeerState, piece: int) -> None:
        peer.send(Reject(*self._table.name(piece)))


def _may_get_any(peer: PeerState) -> bool:
    # A peer whose speed is unknown gets one piece, and the next once it has acknowledged that.
    requesting = peer.requesting
    return bool(requesting.any_requests and (requesting.acknowledged or not requesting.sent))


def _priority(peer: PeerState) -> tuple[int, bool, float]:
    """Order peers by how soon a piece is of use to everyone there; the lowest comes first."""
    return len(peer.requesting.sent), peer.has_unsent, peer.upload_backlog
