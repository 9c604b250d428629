"""What is asked of whom."""

from random import Random
from typing import Final

from chatctl.swarm.ledger import ARRIVED, ASKED, BIT, LACKING, Ledger
from chatctl.swarm.neighbour import Neighbour
from chatctl.swarm.orders import SwarmFault
from chatctl.swarm.window import MAX_WINDOW
from common.messages.swarm import Cancel, Get, New

_SAMPLE: Final = 8
_GAIN: Final = 0.05
_PACE_WEIGHT: Final = 0.25
_NEW: Final = New()
MAX_OPEN: Final = 2 * MAX_WINDOW


class Downloads:
    def __init__(self, ledger: Ledger, neighbours: dict[str, Neighbour], random: Random) -> None:
        self._ledger = ledger
        self._neighbours = neighbours
        self._random = random.random
        self.hungry: dict[Neighbour, None] = {}
        self.moved = 0

    def offer(self, neighbour: Neighbour, piece: int) -> None:
        bit = BIT[piece & 7]
        if neighbour.holds[piece >> 3] & bit:
            return
        neighbour.holds[piece >> 3] |= bit
        self._ledger.holders[piece] += 1
        if self._ledger.state[piece] == LACKING:
            neighbour.asked.candidates.append(piece)
            self.hungry[neighbour] = None

    def retract(self, neighbour: Neighbour, piece: int) -> None:
        if neighbour.has(piece):
            neighbour.holds[piece >> 3] ^= BIT[piece & 7]
            self._ledger.holders[piece] -= 1

    def relack(self, piece: int) -> None:
        self._ledger.change(piece, LACKING)
        for neighbour in self._neighbours.values():
            if neighbour.has(piece):
                neighbour.asked.candidates.append(piece)
                self.hungry[neighbour] = None

    def announced(self, neighbour: Neighbour, piece: int) -> None:
        """A header came."""
        asked = neighbour.asked
        if asked.incoming is not None:
            raise SwarmFault("two at once")
        since = asked.pieces.pop(piece, None)
        if since is None:
            if piece in asked.cancelled:
                asked.cancelled.remove(piece)
                since = -1.0
            elif asked.news and self._ledger.owner_of(piece).id == neighbour.id:
                since = asked.news.popleft()
                self.offer(neighbour, piece)
            else:
                raise SwarmFault("it sends a piece that was not asked for")
        asked.incoming = piece, since
        if self._ledger.state[piece] == LACKING:
            self._ledger.change(piece, ASKED)

    def arrived(self, neighbour: Neighbour, piece: int, now: float) -> bool:
        asked = neighbour.asked
        assert asked.incoming is not None
        _, since = asked.incoming
        asked.incoming = None
        asked.got += 1
        self._answered(neighbour, now)
        if since >= 0:
            asked.window.adapt(now - since, len(self._neighbours))
        self.hungry[neighbour] = None
        if self._ledger.state[piece] != ASKED:
            return False
        self._ledger.change(piece, ARRIVED)
        for other in self._neighbours.values():
            if piece in other.asked.pieces:
                self._cancel(other, piece)
        return True

    def _answered(self, neighbour: Neighbour, now: float) -> None:
        asked = neighbour.asked
        took = now - asked.answered_at
        asked.pace += _PACE_WEIGHT * (took - asked.pace) if asked.pace else took
        asked.answered_at = now

    def denied_new(self, neighbour: Neighbour) -> None:
        if not neighbour.asked.news:
            raise SwarmFault("none")
        neighbour.asked.news.popleft()
        self.hungry[neighbour] = None

    def denied(self, neighbour: Neighbour, piece: int) -> None:
        asked = neighbour.asked
        self.hungry[neighbour] = None
        if piece in asked.cancelled:
            asked.cancelled.remove(piece)
            return
        if asked.pieces.pop(piece, None) is None:
            raise SwarmFault("none")
        self.retract(neighbour, piece)
        if self._ledger.state[piece] == ASKED:
            self.relack(piece)

    def leave(self, neighbour: Neighbour) -> None:
        self.hungry.pop(neighbour, None)
        asked = neighbour.asked
        pieces = list(asked.pieces)
        if asked.incoming:
            pieces.append(asked.incoming[0])
        for piece in pieces:
            if self._ledger.state[piece] == ASKED:
                self.relack(piece)

    def ask(self, now: float) -> None:
        for neighbour in self.hungry:
            self._ask(neighbour, now)
        self.hungry.clear()

    def _ask(self, neighbour: Neighbour, now: float) -> None:
        asked = neighbour.asked
        waiting = len(asked.pieces) + len(asked.news)
        if not waiting:
            asked.answered_at = now
        asked.window.widen(len(self._neighbours))
        room = min(asked.window.size - waiting, MAX_OPEN - waiting - len(asked.cancelled))
        own = self._ledger.owners.get(neighbour.id)
        for _ in range(room):
            if neighbour.fresh and own is not None and len(asked.news) < own.lacking:
                asked.news.append(now)
                neighbour.outbox.append(_NEW)
                continue
            piece = self._choose(neighbour)
            if piece is None:
                piece = self._take_over(neighbour, now)
            if piece is None:
                break
            if self._ledger.state[piece] == LACKING:
                self._ledger.change(piece, ASKED)
            asked.pieces[piece] = now
            owner = self._ledger.owner_of(piece)
            neighbour.outbox.append(Get(owner.id, piece - owner.base))

    def _choose(self, neighbour: Neighbour) -> int | None:
        candidates = neighbour.asked.candidates
        state, holders, random = self._ledger.state, self._ledger.holders, self._random
        cancelled = neighbour.asked.cancelled
        best, fewest, best_at, seen = -1, 1 << 16, -1, 0
        size = len(candidates)
        while seen < _SAMPLE and size:
            at = int(random() * size)
            piece = candidates[at]
            if state[piece] != LACKING or piece in cancelled or not neighbour.has(piece):
                size -= 1
                last = candidates.pop()
                if at < size:
                    candidates[at] = last
                continue
            seen += 1
            if holders[piece] < fewest:
                best, fewest = piece, holders[piece]
            if size <= 2:
                seen += 1
        return None if best < 0 else best

    def _due(self, neighbour: Neighbour, position: int, now: float) -> float:
        asked = neighbour.asked
        late = now - asked.answered_at
        return max(asked.answered_at + asked.pace, now + late * 0.5) + position * max(asked.pace, late)

    def _take_over(self, neighbour: Neighbour, now: float) -> int | None:
        asked = neighbour.asked
        limit = now + (len(asked.pieces) + len(asked.news) + 1) * asked.pace + _GAIN
        best, slowest = None, None
        for other in self._neighbours.values():
            pieces = other.asked.pieces
            if other is neighbour or not pieces:
                continue
            position = len(pieces) + len(other.asked.news) - 1
            for piece in reversed(pieces):
                due = self._due(other, position, now)
                if due <= limit:
                    break
                position -= 1
                if neighbour.has(piece) and piece not in asked.cancelled:
                    best, slowest, limit = piece, other, due
                    break
        if slowest is None or best is None:
            return None
        self._cancel(slowest, best)
        self.moved += 1
        return best

    def _cancel(self, neighbour: Neighbour, piece: int) -> None:
        del neighbour.asked.pieces[piece]
        neighbour.asked.cancelled.add(piece)
        owner = self._ledger.owner_of(piece)
        neighbour.outbox.append(Cancel(owner.id, piece - owner.base))
        self.hungry_later(neighbour)

    def hungry_later(self, neighbour: Neighbour) -> None:
        pass
