"""Who has what: what neighbours are told, and when."""

from typing import Final

from chatctl.swarm.ledger import Ledger, Owner
from chatctl.swarm.neighbour import Neighbour
from chatctl.swarm.uploads import Uploads
from common.messages.swarm import MAX_BITFIELD, MAX_HAVE, Have, Bitfield

_LEAST: Final = 0.03
_PER_PEER: Final = 0.01


class Gossip:
    """Tells neighbours what was gained since they were told last.

    That rides on whatever else goes to a neighbour. Those to which nothing goes are told every
    30 ms, or 10 ms for each peer in a swarm of more than three. Nobody is told as long as it is of
    no use, because only fresh pieces leave from here.
    """

    def __init__(self, ledger: Ledger, uploads: Uploads, neighbours: dict[str, Neighbour]) -> None:
        self._ledger = ledger
        self._uploads = uploads
        self._neighbours = neighbours
        self.due: float | None = None
        """When to `tell_all` (s); None while there is nothing to tell."""

    def join(self, neighbour: Neighbour) -> None:
        """Begin with a neighbour; what was gained before is told by `hold`."""
        neighbour.told = len(self._ledger.gained)

    def hold(self, neighbour: Neighbour, owner: Owner) -> None:
        """Tell all that is held of an owner, whose manifest the neighbour knows."""
        start = owner.base // 8
        bits = self._ledger.held[start : start + (owner.count + 7) // 8]
        for first in range(0, len(bits), MAX_BITFIELD):
            part = bytes(bits[first : first + MAX_BITFIELD])
            if any(part):
                neighbour.say(Bitfield(owner.id, 8 * first, part))

    def gained(self, now: float) -> None:
        """Take note that a piece more is held."""
        if self.due is None:
            self.due = now + max(_LEAST, _PER_PEER * (len(self._neighbours) + 1))

    def tell_all(self, now: float) -> None:
        """Put what is new into the outbox of everyone who was not told."""
        self.due = None
        if self._uploads.is_spreading:
            self.gained(now)
            return
        for neighbour in self._neighbours.values():
            self.tell(neighbour)

    def tell(self, neighbour: Neighbour) -> None:
        """Put what is new to a neighbour into its outbox, unless it has that itself."""
        if self._uploads.is_spreading:
            return
        news = self._ledger.gained[neighbour.told :]
        neighbour.told += len(news)
        if neighbour.is_complete:
            return
        named: dict[str, list[int]] = {}
        count = 0
        for piece in news:
            owner = self._ledger.owner_of(piece)
            if owner.id not in neighbour.agreed or neighbour.has(piece):
                continue
            named.setdefault(owner.id, []).append(piece - owner.base)
            count += 1
            if count == MAX_HAVE:
                neighbour.say(Have(named))
                named, count = {}, 0
        if named:
            neighbour.say(Have(named))
