from itertools import islice
from random import Random
from typing import Final, NamedTuple

from msgspec import Struct

from chatctl.swarm.downloads import Downloads
from chatctl.swarm.gossip import Gossip
from chatctl.swarm.ledger import BIT, HELD, LACKING, Ledger, set_bits
from chatctl.swarm.neighbour import Neighbour
from chatctl.swarm.orders import Drop, Learn, Order, Send, SwarmFault
from chatctl.swarm.uploads import Uploads
from common.messages.base import Message
from common.messages.swarm import Cancel, Get, Have, Holding, Knows, New, NoPiece, Piece, State
from common.pieces import Bitfield, Layout
from msgspec import UNSET


class Progress(NamedTuple):
    """How many of an owner's `total` pieces are held."""

    held: int
    total: int


class Missing(Struct, frozen=True):
    """A piece that is not held, and the linked peers that have it (none: nobody here has it)."""

    owner: str
    index: int
    holders: tuple[str, ...]


class Planner:
    def __init__(self, own: str, digest: str, layout: Layout, *, random: Random) -> None:
        self._ledger = Ledger()
        self._own = self._ledger.add(own, digest, layout, Bitfield.full(len(layout)))
        self._neighbours: dict[str, Neighbour] = {}
        self._downloads = Downloads(self._ledger, self._neighbours, random)
        self._uploads = Uploads(self._ledger, self._own, self._neighbours)
        self._gossip = Gossip(self._ledger, self._neighbours)
        self._progressed_at = 0.0
        self._orders: list[Order] = []
        self._takes = {
            Knows: self._on_knows,
            Holding: self._on_holding,
            Have: self._on_have,
            State: self._on_state,
            New: self._on_new,
            Get: self._on_get,
            Cancel: self._on_cancel,
            Piece: self._on_piece,
            NoPiece: self._on_none,
        }

    def know(self, owner: str, digest: str, layout: Layout, held: Bitfield, now: float) -> None:
        if owner in self._ledger.owners:
            raise ValueError(f"{owner} is known")
        entry = self._ledger.add(owner, digest, layout, held)
        grown = len(self._ledger.held)
        for neighbour in self._neighbours.values():
            neighbour.holds += bytes(grown - len(neighbour.holds))
            self._gossip.introduce(neighbour, [entry])
            if neighbour.known.get(owner) == digest:
                self._share(neighbour, owner)

    def join(self, peer: str, now: float) -> None:
        neighbour = Neighbour(peer, len(self._ledger.state), len(self._ledger.gained), now)
        self._neighbours[peer] = neighbour
        self._gossip.introduce(neighbour, self._ledger.owners.values())
        self._progressed_at = now

    def _share(self, neighbour: Neighbour, name: str) -> None:
        """Both know."""
        owner = self._ledger.owners[name]
        neighbour.shared.add(name)
        if name == neighbour.id:
            for piece in range(owner.base, owner.base + owner.count):
                self._downloads.offer(neighbour, piece)
            self._downloads.hungry[neighbour] = None
        elif name != self._own.id:
            self._gossip.hold(neighbour, owner)

    def leave(self, peer: str, now: float) -> None:
        neighbour = self._neighbours.pop(peer, None)
        if neighbour is None:
            return
        for piece in set_bits(neighbour.holds, 0):
            self._ledger.holders[piece] -= 1
        self._downloads.leave(neighbour)
        self._uploads.leave(neighbour)

    def receive(self, peer: str, message: Message, now: float) -> None:
        self._takes[type(message)](self._neighbours[peer], message, now)

    def _piece(self, neighbour: Neighbour, name: str, index: int) -> int:
        if name not in neighbour.shared:
            raise SwarmFault("not shared")
        return self._ledger.number(name, index)

    def _on_knows(self, neighbour: Neighbour, message: Knows, now: float) -> None:
        owner = self._ledger.owners.get(message.owner)
        if message.owner in neighbour.known or len(neighbour.known) > 1000:
            raise SwarmFault("knows too much")
        neighbour.known[message.owner] = message.digest
        if owner is None:
            self._orders.append(Learn(neighbour.id, message.owner, message.digest))
        elif owner.digest == message.digest:
            self._share(neighbour, message.owner)

    def _on_holding(self, neighbour: Neighbour, message: Holding, now: float) -> None:
        for index in set_bits(message.bits, message.first):
            self._downloads.offer(neighbour, self._piece(neighbour, message.owner, index))

    def _on_have(self, neighbour: Neighbour, message: Have, now: float) -> None:
        for name, pieces in message.pieces.items():
            for index in pieces:
                self._downloads.offer(neighbour, self._piece(neighbour, name, index))

    def _on_state(self, neighbour: Neighbour, message: State, now: float) -> None:
        self._uploads.acknowledge(neighbour, message.got, now)
        neighbour.backlog = message.backlog
        neighbour.complete = message.complete
        if neighbour.fresh != message.fresh:
            neighbour.fresh = message.fresh
            self._downloads.hungry[neighbour] = None

    def _on_new(self, neighbour: Neighbour, message: New, now: float) -> None:
        self._uploads.want_new(neighbour)

    def _on_get(self, neighbour: Neighbour, message: Get, now: float) -> None:
        self._uploads.want(neighbour, self._piece(neighbour, message.owner, message.index))

    def _on_cancel(self, neighbour: Neighbour, message: Cancel, now: float) -> None:
        self._uploads.cancel(neighbour, self._piece(neighbour, message.owner, message.index))

    def _on_piece(self, neighbour: Neighbour, message: Piece, now: float) -> None:
        piece = self._piece(neighbour, message.owner, message.index)
        self._downloads.announced(neighbour, piece)

    def _on_none(self, neighbour: Neighbour, message: NoPiece, now: float) -> None:
        if message.owner is UNSET or message.index is UNSET:
            self._downloads.denied_new(neighbour)
        else:
            piece = self._piece(neighbour, message.owner, message.index)
            self._downloads.denied(neighbour, piece)

    def arrived(self, peer: str, owner: str, index: int, now: float) -> bool:
        self._progressed_at = now
        neighbour = self._neighbours[peer]
        return self._downloads.arrived(neighbour, self._ledger.number(owner, index), now)

    def verified(self, owner: str, index: int, now: float) -> None:
        self._ledger.change(self._ledger.number(owner, index), HELD)
        self._gossip.gained(now)

    def lost(self, owner: str, index: int, now: float) -> None:
        self._downloads.relack(self._ledger.number(owner, index))

    def wake(self, now: float) -> None:
        if self._gossip.due is not None and now >= self._gossip.due:
            self._gossip.due = None
            for neighbour in self._neighbours.values():
                self._gossip.tell(neighbour)

    @property
    def deadline(self) -> float | None:
        return self._gossip.due

    def take_orders(self, now: float) -> list[Order]:
        self._downloads.ask(now)
        self._uploads.fill(now)
        orders = self._orders
        self._orders = []
        fresh = self._uploads.has_fresh
        complete = self._ledger.is_complete
        for neighbour in self._neighbours.values():
            old = neighbour.told_state
            if neighbour.outbox or old is None or old.got != neighbour.asked.got or old.fresh != fresh or old.complete != complete:
                self._gossip.tell(neighbour)
                state = State(neighbour.asked.got, round(self._uploads.backlog, 3), fresh, complete)
                if state != old:
                    neighbour.told_state = state
                    orders.append(Send(neighbour.id, state))
                orders += [Send(neighbour.id, message) for message in neighbour.outbox]
                neighbour.outbox.clear()
        return orders

    @property
    def is_complete(self) -> bool:
        return self._ledger.is_complete
