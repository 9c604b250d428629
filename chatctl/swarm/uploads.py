"""The sending half: who gets what next, and how much is on its way."""

from typing import Final

from chatctl.swarm.budget import Budget
from chatctl.swarm.fresh import Fresh
from chatctl.swarm.ledger import HELD, Ledger, Owner
from chatctl.swarm.neighbour import MAX_OPEN, Neighbour, Sent
from chatctl.swarm.orders import SwarmFault
from common.messages.swarm import Reject, Piece

_NO_NEW: Final = Reject()
_PACE_WEIGHT: Final = 0.125


class Uploads:
    """Answers what neighbours ask, as the budget allows. What waits can still be cancelled.

    While there are fresh pieces, they go out before anything else, each once: twice the same leaves
    the swarm short of others, and takes 2.5 times the bound.
    """

    def __init__(self, ledger: Ledger, own: Owner, neighbours: dict[str, Neighbour]) -> None:
        self._ledger = ledger
        self._neighbours = neighbours
        self._fresh = Fresh(ledger, own)
        self._askers: dict[Neighbour, None] = {}
        self._budget = Budget()
        self._waiting = 0
        self._news = 0
        self._pace = 0.0
        self._acknowledged_at = 0.0

    @property
    def has_fresh(self) -> bool:
        """Whether there are fresh pieces."""
        return bool(self._fresh)

    @property
    def is_spreading(self) -> bool:
        """Whether fresh pieces are asked for, so that nothing else leaves."""
        return self._news > 0 and self.has_fresh

    @property
    def due(self) -> float | None:
        """When `fill` finds more to send (s), though nothing happens until then."""
        return self._fresh.due

    @property
    def backlog(self) -> float:
        """How long (s) it takes to send all that was asked for."""
        return self._pace * (self._budget.in_flight + self._waiting + self._news)

    # What neighbours want

    def want_new(self, neighbour: Neighbour) -> None:
        """Take a `new`; raises SwarmFault when too much is open."""
        self._check_open(neighbour)
        if self.has_fresh:
            neighbour.wanted.news += 1
            self._news += 1
        else:
            neighbour.say(_NO_NEW)

    def want(self, neighbour: Neighbour, piece: int) -> None:
        """Take a `get`; raises SwarmFault when too much is open, or it is asked for already."""
        self._check_open(neighbour)
        wanted = neighbour.wanted
        if piece in wanted.pieces or piece in wanted.early:
            raise SwarmFault("it asks for a piece again before the first answer")
        if self._ledger.state[piece] != HELD or not self._fresh.is_readable(piece):
            self._deny(neighbour, piece)
            return
        self._waiting += 1
        if self._fresh.is_leaving(piece):
            wanted.early[piece] = None
        else:
            wanted.pieces[piece] = None
            self._askers[neighbour] = None

    def cancel(self, neighbour: Neighbour, piece: int) -> None:
        """Take a `cancel`; without effect when the answer has left."""
        wanted = neighbour.wanted
        if piece in wanted.early:
            del wanted.early[piece]
            self._waiting -= 1
        elif piece in wanted.pieces:
            self._unqueue(neighbour, piece)
        else:
            return
        self._deny(neighbour, piece)

    def acknowledge(self, neighbour: Neighbour, got: int, now: float) -> None:
        """Take note of how many pieces a neighbour got; raises SwarmFault when it cannot be."""
        wanted = neighbour.wanted
        more = got - wanted.acknowledged
        if not more:
            return
        if not 0 < more <= len(wanted.sent):
            raise SwarmFault(
                f"it acknowledges {got} pieces, but got {wanted.acknowledged} before, "
                f"and {len(wanted.sent)} are on their way"
            )
        wanted.acknowledged = got
        for _ in range(more):
            last = wanted.sent.popleft()
            if last.is_new:
                self._fresh.arrived(last.piece, now)
            self._budget.acknowledged(now - last.at - neighbour.round_trip)
        took = (now - max(self._acknowledged_at, last.at)) / more
        self._pace += (took - self._pace) * _PACE_WEIGHT if self._pace else took
        self._acknowledged_at = now

    def unreadable(self, neighbour: Neighbour, piece: int) -> None:
        """Take back a piece that was sent, because it could not be read."""
        self.withdraw(piece)
        sent = neighbour.wanted.sent
        for place, each in enumerate(sent):
            if each.piece == piece:
                del sent[place]
                self._budget.in_flight -= 1
                if each.is_new:
                    neighbour.say(_NO_NEW)
                else:
                    self._deny(neighbour, piece)
                return

    def withdraw(self, piece: int) -> None:
        """Never send a piece again, if it is one of one's own."""
        self._fresh.withdraw(piece)
        self._release(piece)

    def leave(self, neighbour: Neighbour) -> None:
        """Forget a neighbour, which is linked no more; what did not reach it was never sent."""
        wanted = neighbour.wanted
        self._askers.pop(neighbour, None)
        self._waiting -= len(wanted.pieces) + len(wanted.early)
        self._news -= wanted.news
        self._budget.in_flight -= len(wanted.sent)
        for each in wanted.sent:
            self._fresh.came_back(each.piece)
            self._release(each.piece)

    # What they get

    def fill(self, now: float) -> bool:
        """Send as much as the budget allows; tell whether that was anything."""
        for piece in self._fresh.take_spread(now):
            self._release(piece)
        in_flight = self._budget.in_flight
        while self._budget.has_room and (self._send_fresh(now) or self._send_queued(now)):
            pass
        if self._news and not self.has_fresh:
            for neighbour in self._neighbours.values():
                for _ in range(neighbour.wanted.news):
                    neighbour.say(_NO_NEW)
                neighbour.wanted.news = 0
            self._news = 0
        return self._budget.in_flight > in_flight

    def _send_fresh(self, now: float) -> bool:
        if not self.has_fresh:
            return False
        askers = [each for each in self._neighbours.values() if _may_get_new(each)]
        if not askers:
            return False
        best = min(askers, key=_turn)
        best.wanted.news -= 1
        self._news -= 1
        self._send(best, self._fresh.take(), now, is_new=True)
        return True

    def _send_queued(self, now: float) -> bool:
        """Send what is rarest of what the neighbour waits for that has the least on its way."""
        if not self._askers:
            return False
        neighbour = min(self._askers, key=_turn)
        piece = min(neighbour.wanted.pieces, key=self._ledger.holders.__getitem__)
        self._unqueue(neighbour, piece)
        self._send(neighbour, piece, now, is_new=False)
        return True

    def _send(self, neighbour: Neighbour, piece: int, now: float, *, is_new: bool) -> None:
        owner = self._ledger.owner_of(piece)
        index = piece - owner.base
        neighbour.say(Piece(owner.id, index, owner.length(index)))
        neighbour.wanted.sent.append(Sent(piece, now, is_new))
        self._budget.in_flight += 1

    def _release(self, piece: int) -> None:
        """Let those have a piece who asked for it while it was on its way to somebody else."""
        for neighbour in self._neighbours.values():
            if piece in neighbour.wanted.early:
                del neighbour.wanted.early[piece]
                neighbour.wanted.pieces[piece] = None
                self._askers[neighbour] = None

    def _unqueue(self, neighbour: Neighbour, piece: int) -> None:
        self._waiting -= 1
        del neighbour.wanted.pieces[piece]
        del self._askers[neighbour]
        if neighbour.wanted.pieces:  # to the end, so that neighbours take turns
            self._askers[neighbour] = None

    def _check_open(self, neighbour: Neighbour) -> None:
        if neighbour.wanted.open >= MAX_OPEN:
            raise SwarmFault(f"it has more than {MAX_OPEN} requests open")

    def _deny(self, neighbour: Neighbour, piece: int) -> None:
        neighbour.say(Reject(*self._ledger.name(piece)))


def _may_get_new(neighbour: Neighbour) -> bool:
    # Until it has acknowledged its first piece, how fast it is is anyone's guess.
    wanted = neighbour.wanted
    return bool(wanted.news and (wanted.acknowledged or not wanted.sent))


def _turn(neighbour: Neighbour) -> tuple[int, bool, float]:
    """Order neighbours by how soon what they get is of use to all; the first is the best."""
    return len(neighbour.wanted.sent), neighbour.has_fresh, neighbour.backlog
