"""The sending half: who gets what next, and how much is on its way.

How much may be on its way to all peers, so that the uplink neither idles nor hoards.
A peer's own pieces: which of them it never sent, and which have only just left.
"""

from collections import deque
from typing import Final

from chatctl.share.planner.actions import ProtocolViolationError
from chatctl.share.planner.peer_state import MAX_OPEN_REQUESTS, PeerState, SentPiece
from chatctl.share.planner.piece_table import HAVE, Owner, PieceTable
from common.messages.peer_wire import Piece, Reject

_FIRST: Final = 4.0
_MIN: Final = 2.0
_MAX: Final = 64.0
_STEP: Final = 0.5
_FAST: Final = 0.2
_SLOW: Final = 0.4
_RECENT: Final = 8


class SendWindow:
    """Pieces sent and not yet acknowledged, over all connections: 2 to 64.

    Half a piece more when an acknowledgement takes less than 0.2 s, half a piece less when it takes
    more than 0.4 s, both beyond the round trip of its connection. But one slow reader alone says
    nothing of this uplink: the best of the last eight must have taken 0.2 s, too.

    What is on its way cannot be cancelled any more, and what waits can still go to whom it helps
    most. A fixed window of 64 pieces takes 2.4 times the bound where this one takes 1.02.
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
        """Take note that a piece was acknowledged, `delay` s later than on an idle connection."""
        self._recent.append(delay)
        if delay < _FAST:
            if not self.has_room:  # else it is not what holds the uplink back
                self._limit = min(self._limit + _STEP, _MAX)
        elif delay > _SLOW and min(self._recent) > _FAST:
            self._limit = max(self._limit - _STEP, _MIN)
        self.in_flight -= 1


_SPREAD: Final = 0.2


class SuperSeeding:
    """A piece of one's own is unsent until it was sent once, and nobody has it.

    From then on it is on its way until 0.2 s after it has arrived: by then others know where to
    get it. A second copy sent from here meanwhile would keep the last unsent pieces of a slow peer
    waiting, for which all wait: with two slow uplinks among five, 1.13 times the bound, not 1.09.
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
        """When the next piece has spread (s), None while none has arrived."""
        return self._delivered[0][0] if self._delivered else None

    def take(self) -> int:
        """Return a unsent piece, which is on its way from now on; there must be one."""
        piece = self._unsent.popleft()
        self._spreading.add(piece)
        return piece

    def is_spreading(self, piece: int) -> bool:
        """Tell whether a piece is on its way for the first time."""
        return piece in self._spreading

    def is_readable(self, piece: int) -> bool:
        """Tell whether a piece may be sent; only one's own ever may not."""
        return piece not in self._unreadable

    def on_delivered(self, piece: int, now: float) -> None:
        """Take note that a piece which was unsent has reached somebody."""
        self._delivered.append((now + _SPREAD, piece))

    def restore(self, piece: int) -> None:
        """Take a piece for unsent again, if it is one's own: who was sent it is gone."""
        if piece in self._own:
            self._spreading.discard(piece)
            self._unsent.appendleft(piece)

    def withdraw(self, piece: int) -> None:
        """Never send a piece again, if it is one's own."""
        if piece in self._own:
            self._spreading.discard(piece)
            self._unreadable.add(piece)

    def take_spread(self, now: float) -> list[int]:
        """Return the pieces that have spread since this was called last."""
        spread = []
        while self._delivered and self._delivered[0][0] <= now:
            piece = self._delivered.popleft()[1]
            self._spreading.discard(piece)
            spread.append(piece)
        return spread


_REJECT_ANY: Final = Reject()
_INTERVAL_WEIGHT: Final = 0.125


class Uploads:
    """Answers what peers ask, as the send window allows. What waits can still be cancelled.

    While there are unsent pieces, they go out before anything else, each once: twice the same
    leaves the swarm short of others, and takes 2.5 times the bound.
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
        """Whether there are unsent pieces."""
        return bool(self._super_seeding)

    @property
    def is_super_seeding(self) -> bool:
        """Whether unsent pieces are asked for, so that nothing else leaves."""
        return self._any_requests > 0 and self.has_unsent

    @property
    def due(self) -> float | None:
        """When `send_pieces` finds more to send (s), though nothing happens until then."""
        return self._super_seeding.due

    @property
    def upload_backlog(self) -> float:
        """How long (s) it takes to send all that was asked for."""
        return self._piece_interval * (
            self._send_window.in_flight + self._waiting + self._any_requests
        )

    # What peers want

    def on_request_any(self, peer: PeerState) -> None:
        """Take a `RequestAny`; raises ProtocolViolationError when too much is open."""
        self._check_open(peer)
        if self.has_unsent:
            peer.requesting.any_requests += 1
            self._any_requests += 1
        else:
            peer.send(_REJECT_ANY)

    def on_request(self, peer: PeerState, piece: int) -> None:
        """Take a `RequestPiece`; raises ProtocolViolationError when it is one too many."""
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
        """Take a `Cancel`; without effect when the answer has left."""
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
                f"it acknowledges {got} pieces, but got {requesting.acknowledged} before, "
                f"and {len(requesting.sent)} are on their way"
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
        """Take back a piece that was sent, because it could not be read."""
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
        """Never send a piece again, if it is one of one's own."""
        self._super_seeding.withdraw(piece)
        self._resume_deferred(piece)

    def remove_peer(self, peer: PeerState) -> None:
        """Forget a peer, which is connected no more; what did not reach it was never sent."""
        requesting = peer.requesting
        self._requesters.pop(peer, None)
        self._waiting -= len(requesting.pieces) + len(requesting.deferred)
        self._any_requests -= requesting.any_requests
        self._send_window.in_flight -= len(requesting.sent)
        for each in requesting.sent:
            self._super_seeding.restore(each.piece)
            self._resume_deferred(each.piece)

    # What they get

    def send_pieces(self, now: float) -> bool:
        """Send as much as the send window allows; tell whether that was anything."""
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
        """Send what is rarest of what the peer waits for that has the least on its way."""
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
        """Let those have a piece who asked for it while it was on its way to somebody else."""
        for peer in self._peers.values():
            if piece in peer.requesting.deferred:
                del peer.requesting.deferred[piece]
                peer.requesting.pieces[piece] = None
                self._requesters[peer] = None

    def _dequeue(self, peer: PeerState, piece: int) -> None:
        self._waiting -= 1
        del peer.requesting.pieces[piece]
        del self._requesters[peer]
        if peer.requesting.pieces:  # to the end, so that peers take turns
            self._requesters[peer] = None

    def _check_open(self, peer: PeerState) -> None:
        if peer.requesting.open >= MAX_OPEN_REQUESTS:
            raise ProtocolViolationError(f"it has more than {MAX_OPEN_REQUESTS} requests open")

    def _reject(self, peer: PeerState, piece: int) -> None:
        peer.send(Reject(*self._table.name(piece)))


def _may_get_any(peer: PeerState) -> bool:
    # Until it has acknowledged its first piece, how fast it is is anyone's guess.
    requesting = peer.requesting
    return bool(requesting.any_requests and (requesting.acknowledged or not requesting.sent))


def _priority(peer: PeerState) -> tuple[int, bool, float]:
    """Order peers by how soon what they get is of use to all; the first is the best."""
    return len(peer.requesting.sent), peer.has_unsent, peer.upload_backlog
