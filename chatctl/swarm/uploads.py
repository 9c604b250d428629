"""What is sent to whom."""

from collections import deque
from typing import Final

from chatctl.swarm.budget import Budget
from chatctl.swarm.ledger import HELD, Ledger, Owner
from chatctl.swarm.neighbour import Neighbour
from chatctl.swarm.orders import SwarmFault
from common.messages.swarm import NoPiece, Piece

_NONE: Final = NoPiece()
MAX_OPEN: Final = 64
_PACE_WEIGHT: Final = 0.125


class Uploads:
    def __init__(self, ledger: Ledger, own: Owner, neighbours: dict[str, Neighbour]) -> None:
        self._ledger = ledger
        self._neighbours = neighbours
        self._own = own
        self._fresh = deque(range(own.base, own.base + own.count))
        self._queue: deque[tuple[Neighbour, int]] = deque()
        self._waiting = 0
        self._budget = Budget()
        self._pace = 0.0
        self._paced_at = 0.0

    @property
    def has_fresh(self) -> bool:
        fresh, holders = self._fresh, self._ledger.holders
        while fresh and holders[fresh[0]]:
            fresh.popleft()
        return bool(fresh)

    @property
    def backlog(self) -> float:
        return self._pace * (self._budget.in_flight + self._waiting)

    def want_new(self, neighbour: Neighbour) -> None:
        self._check(neighbour)
        if self.has_fresh:
            neighbour.wanted.news += 1
            self._waiting += 1
        else:
            neighbour.outbox.append(_NONE)

    def _check(self, neighbour: Neighbour) -> None:
        if len(neighbour.wanted.pieces) + neighbour.wanted.news >= MAX_OPEN:
            raise SwarmFault("asks for too much")

    def want(self, neighbour: Neighbour, piece: int) -> None:
        self._check(neighbour)
        if piece in neighbour.wanted.pieces:
            raise SwarmFault("asks twice")
        if self._ledger.state[piece] != HELD:
            self._deny(neighbour, piece)
            return
        neighbour.wanted.pieces.add(piece)
        self._waiting += 1
        self._queue.append((neighbour, piece))

    def cancel(self, neighbour: Neighbour, piece: int) -> None:
        if piece in neighbour.wanted.pieces:
            neighbour.wanted.pieces.remove(piece)
            self._waiting -= 1
            self._deny(neighbour, piece)

    def acknowledge(self, neighbour: Neighbour, got: int, now: float) -> None:
        wanted = neighbour.wanted
        more = got - wanted.acknowledged
        if not 0 <= more <= len(wanted.sent):
            raise SwarmFault("acks")
        if not more:
            return
        wanted.acknowledged = got
        for _ in range(more):
            _, sent_at = wanted.sent.popleft()
            self._budget.in_flight -= 1
            self._budget.adapt(now - sent_at)
        took = (now - max(self._paced_at, sent_at)) / more
        self._pace += _PACE_WEIGHT * (took - self._pace) if self._pace else took
        self._paced_at = now

    def leave(self, neighbour: Neighbour) -> None:
        """After its holds were retracted."""
        wanted = neighbour.wanted
        self._budget.in_flight -= len(wanted.sent)
        self._waiting -= len(wanted.pieces) + wanted.news
        for piece, _ in wanted.sent:
            if self._own.base <= piece < self._own.base + self._own.count:
                self._fresh.appendleft(piece)
        wanted.sent.clear()
        wanted.pieces.clear()

    def fill(self, now: float) -> None:
        while self._budget.has_room:
            if not (self._send_fresh(now) or self._send_queued(now)):
                return

    def _send_fresh(self, now: float) -> bool:
        if not self.has_fresh:
            return False
        best = min(
            (neighbour for neighbour in self._neighbours.values() if neighbour.wanted.news),
            key=lambda neighbour: (neighbour.fresh, neighbour.backlog + self._pace * len(neighbour.wanted.sent)),
            default=None,
        )
        if best is None:
            return False
        best.wanted.news -= 1
        self._send(best, self._fresh.popleft(), now)
        if not self.has_fresh:
            for neighbour in self._neighbours.values():
                neighbour.outbox += [_NONE] * neighbour.wanted.news
                self._waiting -= neighbour.wanted.news
                neighbour.wanted.news = 0
        return True

    def _send_queued(self, now: float) -> bool:
        while self._queue:
            neighbour, piece = self._queue.popleft()
            if piece in neighbour.wanted.pieces:
                neighbour.wanted.pieces.remove(piece)
                self._send(neighbour, piece, now)
                return True
        return False

    def _send(self, neighbour: Neighbour, piece: int, now: float) -> None:
        self._waiting -= 1
        owner = self._ledger.owner_of(piece)
        index = piece - owner.base
        neighbour.outbox.append(Piece(owner.id, index, owner.layout.span(index).length))
        neighbour.wanted.sent.append((piece, now))
        self._budget.in_flight += 1

    def _deny(self, neighbour: Neighbour, piece: int) -> None:
        owner = self._ledger.owner_of(piece)
        neighbour.outbox.append(NoPiece(owner.id, piece - owner.base))
