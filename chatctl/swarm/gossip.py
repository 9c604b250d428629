"""Who has what."""

from collections.abc import Iterable
from typing import Final

from chatctl.swarm.ledger import Ledger, Owner
from chatctl.swarm.neighbour import Neighbour
from common.messages.swarm import MAX_BITS, MAX_NAMED, Have, Holding, Knows

LEAST: Final = 0.03
PER_PEER: Final = 0.01


class Gossip:
    def __init__(self, ledger: Ledger, neighbours: dict[str, Neighbour]) -> None:
        self._ledger = ledger
        self._neighbours = neighbours
        self.due: float | None = None

    def introduce(self, neighbour: Neighbour, owners: Iterable[Owner]) -> None:
        neighbour.outbox += [Knows(owner.id, owner.digest) for owner in owners]

    def hold(self, neighbour: Neighbour, owner: Owner) -> None:
        start = owner.base // 8
        bits = bytes(self._ledger.held[start : start + (owner.count + 7) // 8])
        for at in range(0, len(bits), MAX_BITS):
            part = bits[at : at + MAX_BITS]
            if part.strip(b"\0"):
                neighbour.outbox.append(Holding(owner.id, at * 8, part))

    def gained(self, now: float) -> None:
        if self.due is None:
            self.due = now + max(LEAST, PER_PEER * (len(self._neighbours) + 1))

    def tell(self, neighbour: Neighbour) -> None:
        gained = self._ledger.gained
        if neighbour.told == len(gained):
            return
        news = gained[neighbour.told :]
        neighbour.told = len(gained)
        if neighbour.complete:
            return
        named: dict[str, list[int]] = {}
        count = 0
        for piece in news:
            if neighbour.has(piece):
                continue
            owner = self._ledger.owner_of(piece)
            if owner.id in neighbour.shared:
                named.setdefault(owner.id, []).append(piece - owner.base)
                count += 1
                if count == MAX_NAMED:
                    neighbour.outbox.insert(0, Have(named))
                    named, count = {}, 0
        if named:
            neighbour.outbox.insert(0, Have(named))
