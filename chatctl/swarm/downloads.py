"""The receiving half: who has what, what is asked of whom, and what comes of it."""

from random import Random
from typing import Final

from chatctl.swarm.choice import choose
from chatctl.swarm.ledger import ARRIVED, ASKED, BIT, LACKING, Ledger, Owner, set_bits
from chatctl.swarm.neighbour import MAX_OPEN, Neighbour
from chatctl.swarm.orders import SwarmFault
from chatctl.swarm.takeover import find_move
from common.messages.swarm import Cancel, RequestPiece, RequestAny

_NEW: Final = RequestAny()
_PACE_WEIGHT: Final = 0.25
_REVIEW: Final = 0.25
_PATIENCE: Final = 5.0
_SILENCE: Final = 120.0


class Downloads:
    """Keeps at each neighbour a window of requests.

    Neighbours for which something changed are remembered, and asked when the turn ends. Those that
    have nothing more to give are looked at again every 0.25 s, because they may take over requests
    that wait elsewhere.
    """

    def __init__(self, ledger: Ledger, neighbours: dict[str, Neighbour], random: Random) -> None:
        self._ledger = ledger
        self._neighbours = neighbours
        self._random = random
        self._changed: dict[Neighbour, None] = {}
        self.review_due: float | None = None
        """When to `review` (s); None while nothing is asked."""

    # Who has what

    def offer(self, neighbour: Neighbour, piece: int) -> None:
        """Note that a neighbour has a piece."""
        bit = BIT[piece & 7]
        if neighbour.holds[piece >> 3] & bit:
            return
        neighbour.holds[piece >> 3] |= bit
        self._ledger.holders[piece] += 1
        state = self._ledger.state[piece]
        if state == LACKING:
            neighbour.asked.candidates.append(piece)
        if state <= ASKED:
            self._changed[neighbour] = None

    def offer_all(self, neighbour: Neighbour, owner: Owner) -> None:
        """Note that a neighbour has all pieces of an owner."""
        for piece in range(owner.base, owner.base + owner.count):
            self.offer(neighbour, piece)
        self._changed[neighbour] = None

    def retract(self, neighbour: Neighbour, piece: int) -> None:
        """Note that a neighbour has a piece no more."""
        if neighbour.has(piece):
            neighbour.holds[piece >> 3] ^= BIT[piece & 7]
            self._ledger.holders[piece] -= 1

    def lack(self, piece: int) -> None:
        """Take a piece for one that is not here, and that is asked of nobody."""
        self._ledger.change(piece, LACKING)
        for neighbour in self._neighbours.values():
            if neighbour.has(piece):
                neighbour.asked.candidates.append(piece)
                self._changed[neighbour] = None

    def look_at(self, neighbour: Neighbour) -> None:
        """Have it looked at what may be asked of a neighbour, although it has nothing more."""
        self._changed[neighbour] = None

    def leave(self, neighbour: Neighbour) -> None:
        """Forget a neighbour, which is linked no more."""
        self._changed.pop(neighbour, None)
        for piece in set_bits(neighbour.holds, 0):
            self._ledger.holders[piece] -= 1
        for piece in neighbour.asked.pieces:
            if self._ledger.state[piece] == ASKED:
                self.lack(piece)

    # Answers

    def announced(self, neighbour: Neighbour, piece: int) -> None:
        """Take the header of a piece; raises SwarmFault when it answers nothing."""
        asked = neighbour.asked
        if piece not in asked.pieces and piece not in asked.cancelled:
            if not asked.news or self._ledger.owner_of(piece).id != neighbour.id:
                raise SwarmFault("it sends a piece that it was not asked for")
            asked.pieces[piece] = asked.news.popleft()
            if self._ledger.state[piece] == LACKING:
                self._ledger.change(piece, ASKED)
        asked.incoming = piece

    def arrived(self, neighbour: Neighbour, piece: int, now: float) -> bool:
        """Take note that the bytes of a piece are here; False when they were here before."""
        asked = neighbour.asked
        asked.incoming = None
        asked.got += 1
        took = now - asked.answered_at
        asked.pace += (took - asked.pace) * _PACE_WEIGHT if asked.pace else took
        neighbour.say_state()
        self._heard(neighbour, now)
        since = asked.pieces.pop(piece, None)
        if since is None:
            asked.cancelled.discard(piece)
        else:
            asked.window.answered(now - since - neighbour.round_trip)
        state = self._ledger.state[piece]
        if state > ASKED:
            return False
        self._ledger.change(piece, ARRIVED)
        if since is None and state == ASKED:  # it is being moved, and came from where it was before
            for other in self._neighbours.values():
                if piece in other.asked.pieces:
                    self._cancel(other, piece)
        return True

    def denied_new(self, neighbour: Neighbour, now: float) -> None:
        """Take a `none` for a `new`."""
        if not neighbour.asked.news:
            raise SwarmFault("it denies a new piece that it was not asked for")
        neighbour.asked.news.popleft()
        self._heard(neighbour, now)

    def denied(self, neighbour: Neighbour, piece: int, now: float) -> None:
        """Take a `none` for a `get`."""
        asked = neighbour.asked
        if piece in asked.cancelled:
            asked.cancelled.remove(piece)
        elif asked.pieces.pop(piece, None) is not None:
            self.retract(neighbour, piece)
            if self._ledger.state[piece] == ASKED:
                self.lack(piece)
        else:
            raise SwarmFault("it denies a piece that it was not asked for")
        self._heard(neighbour, now)

    def _heard(self, neighbour: Neighbour, now: float) -> None:
        neighbour.asked.answered_at = now
        self._changed[neighbour] = None

    # Questions

    def ask(self, now: float) -> None:
        """Ask those neighbours for which something changed for as much as their windows allow."""
        for neighbour in self._changed:
            self._fill_window(neighbour, now)
        self._changed.clear()

    def review(self, now: float) -> list[Neighbour]:
        """Have all neighbours looked at again; return those that did not answer for 120 s.

        One that still has pieces that it never sent may serve others first for as long as that.
        """
        self.review_due = None
        silent = []
        for neighbour in self._neighbours.values():
            asked = neighbour.asked
            is_open = asked.pieces or asked.cancelled or asked.news
            if is_open:
                self.review_due = now + _REVIEW
            if is_open and not neighbour.has_fresh and now - asked.answered_at > _SILENCE:
                asked.answered_at = now
                silent.append(neighbour)
            self._changed[neighbour] = None
        return silent

    def _fill_window(self, neighbour: Neighbour, now: float) -> None:
        asked = neighbour.asked
        waiting = asked.waiting
        if not waiting and not asked.cancelled:
            asked.answered_at = now
        elif now - asked.answered_at > _PATIENCE and not neighbour.has_fresh:
            return
        share = asked.window.share(len(self._neighbours))
        room = min(share, MAX_OPEN - len(asked.cancelled)) - waiting
        while room > 0 and self._ask_one(neighbour, now):
            room -= 1
        if asked.waiting > waiting and self.review_due is None:
            self.review_due = now + _REVIEW

    def _ask_one(self, neighbour: Neighbour, now: float) -> bool:
        asked = neighbour.asked
        if self._may_ask_new(neighbour):
            asked.news.append(now)
            neighbour.say(_NEW)
            return True
        piece = choose(neighbour, self._ledger, self._random)
        if piece is not None:
            self._ledger.change(piece, ASKED)
        else:
            move = find_move(neighbour, self._neighbours.values(), now)
            if move is None:
                return False
            piece = move.piece
            self._cancel(move.slower, piece)
        asked.pieces[piece] = now
        neighbour.say(RequestPiece(*self._ledger.name(piece)))
        return True

    def _may_ask_new(self, neighbour: Neighbour) -> bool:
        if not neighbour.has_fresh or neighbour.id not in neighbour.agreed:
            return False
        return len(neighbour.asked.news) < self._ledger.owners[neighbour.id].lacking

    def _cancel(self, neighbour: Neighbour, piece: int) -> None:
        del neighbour.asked.pieces[piece]
        neighbour.asked.cancelled.add(piece)
        neighbour.say(Cancel(*self._ledger.name(piece)))
