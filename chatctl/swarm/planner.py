"""The plan of one peer in a swarm: what it asks of whom, and whom it sends what.

No sockets, no files, no clock: each event comes with the time `now` (monotonic, s, never less than
the time before), and what is to be done is fetched with `take_orders` when the events of a turn of
the loop are through, so that what goes to one peer goes in one write.
"""

from collections.abc import Iterable, Iterator
from random import Random
from typing import Final, NamedTuple

from msgspec import UNSET, Struct

from chatctl.swarm.downloads import Downloads
from chatctl.swarm.gossip import Gossip
from chatctl.swarm.ledger import ASKED, HELD, Ledger, set_bits
from chatctl.swarm.neighbour import Neighbour
from chatctl.swarm.orders import Drop, Learn, Order, Send, SwarmFault
from chatctl.swarm.uploads import Uploads
from common.messages.base import Message
from common.messages.swarm import (
    Cancel,
    Get,
    Have,
    Holding,
    Knows,
    Lost,
    New,
    NoPiece,
    Piece,
    State,
)
from common.pieces import Bitfield, Layout

_MAX_OWNERS: Final = 1_000
_MAX_BACKLOG: Final = 1e6


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
    """Plans for the peer `own`, whose pieces lie in `layout` under the manifest of `digest`."""

    def __init__(self, own: str, digest: str, layout: Layout, *, random: Random) -> None:
        self._ledger = Ledger()
        self._own = self._ledger.add(own, digest, layout, Bitfield.full(len(layout)))
        self._neighbours: dict[str, Neighbour] = {}
        self._downloads = Downloads(self._ledger, self._neighbours, random)
        self._uploads = Uploads(self._ledger, self._own, self._neighbours)
        self._gossip = Gossip(self._ledger, self._neighbours)
        self._orders: list[Order] = []
        self._progressed_at = 0.0

    # What the shell tells

    def know(self, owner: str, digest: str, layout: Layout, held: Bitfield, now: float) -> None:
        """Count the files of `owner` in: its manifest is known, and the pieces `held` are here.

        To be called once for each other owner, whether it is linked, comes later, or is gone; only
        then its pieces are asked for. Raises ValueError when it was called before.
        """
        if owner in self._ledger.owners:
            raise ValueError(f"the files of {owner!r} are known already")
        entry = self._ledger.add(owner, digest, layout, held)
        for neighbour in self._neighbours.values():
            neighbour.holds += bytes(len(self._ledger.held) - len(neighbour.holds))
            neighbour.outbox.append(Knows(owner, digest))
            self._agree(neighbour, owner)
        if entry.held:
            self._gossip.gained(now)

    def join(self, peer: str, now: float, round_trip: float = 0.0) -> None:
        """Begin with a linked `peer`, after the handshake.

        `round_trip` (s) is how long word and answer take while nothing else is on the link: the
        shortest that was seen. On far links 0 costs throughput. What each has of whom is exchanged
        by messages of the planner itself. Raises ValueError when the peer is linked already.
        """
        if peer in self._neighbours:
            raise ValueError(f"{peer!r} is linked already")
        neighbour = self._neighbours[peer] = Neighbour(peer, round_trip, now)
        neighbour.holds += bytes(len(self._ledger.held))
        neighbour.outbox += [Knows(each.id, each.digest) for each in self._ledger.owners.values()]
        self._gossip.join(neighbour)
        self._progressed_at = now

    def leave(self, peer: str, now: float) -> None:
        """End with a peer whose link is gone, or is being closed.

        What was asked of it is asked elsewhere. Without effect for a peer that is not linked.
        """
        neighbour = self._neighbours.pop(peer, None)
        if neighbour is not None:
            self._downloads.leave(neighbour)
            self._uploads.leave(neighbour)

    def receive(self, peer: str, message: Message, now: float) -> None:
        """Take a message of `common.messages.swarm` from a linked peer.

        A `Piece` is received when its header is there: what this returns for was asked for, is of
        the right size, and its bytes may be read. Raises SwarmFault, after which the shell drops
        the peer, and calls `leave`.
        """
        neighbour = self._neighbours[peer]
        match message:
            case State():
                self._take_state(neighbour, message, now)
            case Get() | Cancel() | Piece() | Lost():
                self._take_named(neighbour, message)
            case New():
                self._uploads.want_new(neighbour)
            case Have(pieces):
                for owner, indexes in pieces.items():
                    self._take_have(neighbour, owner, indexes)
            case NoPiece():
                self._take_none(neighbour, message, now)
            case Holding(owner, first, bits):
                self._take_have(neighbour, owner, set_bits(bits, first))
            case Knows(owner, digest):
                self._take_knows(neighbour, owner, digest)
            case _:
                raise TypeError(f"{type(message).__name__} is not for the planner")

    def arrived(self, peer: str, owner: str, index: int, now: float) -> bool:
        """Note that all bytes of a piece came, unverified, behind the header that was received.

        Return whether they are wanted. If not, they came twice, and are to be forgotten; otherwise
        `verified` or `lost` is to follow.
        """
        self._progressed_at = now
        piece = self._ledger.number(owner, index)
        return self._downloads.arrived(self._neighbours[peer], piece, now)

    def verified(self, owner: str, index: int, now: float) -> None:
        """Note that a piece which arrived is what its owner announced, and can be read from now."""
        piece = self._ledger.number(owner, index)
        if self._ledger.state[piece] != HELD:
            self._ledger.change(piece, HELD)
            self._gossip.gained(now)

    def lost(self, owner: str, index: int, now: float) -> None:
        """Note that a piece is not here: it arrived and is bad, or was held and is spoilt.

        It is asked for again. Who sent a bad piece is dropped by the shell, which calls `leave`
        before this.
        """
        piece = self._ledger.number(owner, index)
        state = self._ledger.state[piece]
        if owner == self._own.id:
            self._uploads.withdraw(piece)
        elif state > ASKED:
            self._downloads.lack(piece)
            if state == HELD:
                for neighbour in self._neighbours.values():
                    if owner in neighbour.agreed:
                        neighbour.outbox.append(Lost(owner, index))

    def unreadable(self, peer: str, owner: str, index: int, now: float) -> None:
        """Note that a piece ordered for `peer` was not sent, because it could not be read.

        The peer is told, and nobody gets this piece from here. One of another owner is asked for
        again.
        """
        piece = self._ledger.number(owner, index)
        neighbour = self._neighbours.get(peer)
        if neighbour is not None:
            self._uploads.unreadable(neighbour, piece)
        self.lost(owner, index, now)

    def wake(self, now: float) -> None:
        """Do what is due by the clock; to be called at `deadline`, or somewhat later."""
        if self._gossip.due is not None and now >= self._gossip.due:
            self._gossip.tell_all()
        if self._downloads.review_due is not None and now >= self._downloads.review_due:
            for neighbour in self._downloads.review(now):
                self._orders.append(Drop(neighbour.id, "answers no requests"))

    # What the planner tells

    @property
    def deadline(self) -> float | None:
        """When to `wake` it, on the clock of `now` (s); None when only events move it on."""
        due = [self._gossip.due, self._downloads.review_due]
        return min((each for each in due if each is not None), default=None)

    def take_orders(self, now: float) -> list[Order]:
        """Return what is to be done, and forget it; to be called after each batch of events."""
        self._downloads.ask(now)
        self._uploads.fill(now)
        orders, self._orders = self._orders, []
        has_fresh, is_complete = self._uploads.has_fresh, self._ledger.is_complete
        backlog = min(self._uploads.backlog, _MAX_BACKLOG)
        for neighbour in self._neighbours.values():
            got, told = neighbour.asked.got, neighbour.told_state
            if (
                neighbour.outbox
                or told is None
                or (told.got, told.fresh, told.complete) != (got, has_fresh, is_complete)
            ):
                self._gossip.tell(neighbour)
                state = State(got, round(backlog, 3), has_fresh, is_complete)
                if state != told:
                    neighbour.told_state = state
                    orders.append(Send(neighbour.id, state))
                orders += [Send(neighbour.id, message) for message in neighbour.outbox]
                if any(type(message) is Piece for message in neighbour.outbox):
                    self._progressed_at = now
                neighbour.outbox.clear()
        return orders

    @property
    def is_complete(self) -> bool:
        """Whether every piece of every owner that is known is held and verified."""
        return self._ledger.is_complete

    @property
    def is_needed(self) -> bool:
        """Whether a linked peer still lacks pieces, as far as it said."""
        return any(not neighbour.is_complete for neighbour in self._neighbours.values())

    @property
    def progressed_at(self) -> float:
        """When the last piece arrived or left (s, as `now`); before any, when the last peer joined.

        For the shell to give up a swarm in which nothing moves any more.
        """
        return self._progressed_at

    def progress(self) -> dict[str, Progress]:
        """Return how far each known owner's pieces are here, this peer's own left out."""
        return {
            owner.id: Progress(owner.held, owner.count)
            for owner in self._ledger.owners.values()
            if owner is not self._own
        }

    def missing(self) -> Iterator[Missing]:
        """Yield the pieces that are not held. Takes time linear in the pieces of their owners."""
        for owner in self._ledger.owners.values():
            if owner.held == owner.count:
                continue
            for index in range(owner.count):
                piece = owner.base + index
                if self._ledger.state[piece] != HELD:
                    holders = (each.id for each in self._neighbours.values() if each.has(piece))
                    yield Missing(owner.id, index, tuple(holders))

    # Messages

    def _number(self, neighbour: Neighbour, owner: str, index: int) -> int:
        if owner not in neighbour.agreed:
            raise SwarmFault(f"it speaks of the files of {owner!r}, whom not both sides know")
        return self._ledger.number(owner, index)

    def _take_knows(self, neighbour: Neighbour, owner: str, digest: str) -> None:
        if owner in neighbour.known:
            raise SwarmFault(f"it says again that it knows {owner!r}")
        if len(neighbour.known) == _MAX_OWNERS:
            raise SwarmFault(f"it says that it knows more than {_MAX_OWNERS} owners")
        neighbour.known[owner] = digest
        if owner in self._ledger.owners:
            self._agree(neighbour, owner)
        else:
            self._orders.append(Learn(neighbour.id, owner, digest))

    def _agree(self, neighbour: Neighbour, name: str) -> None:
        owner = self._ledger.owners[name]
        if neighbour.known.get(name) != owner.digest:
            return
        neighbour.agreed.add(name)
        if name == neighbour.id:
            self._downloads.offer_all(neighbour, owner)
        elif owner is not self._own:
            self._gossip.hold(neighbour, owner)

    def _take_state(self, neighbour: Neighbour, state: State, now: float) -> None:
        self._uploads.acknowledge(neighbour, state.got, now)
        neighbour.backlog = state.backlog
        neighbour.is_complete = state.complete
        if neighbour.has_fresh != state.fresh:
            neighbour.has_fresh = state.fresh
            self._downloads.note_state(neighbour)

    def _take_named(self, neighbour: Neighbour, message: Get | Cancel | Piece | Lost) -> None:
        owner, index = message.owner, message.index
        piece = self._number(neighbour, owner, index)
        match message:
            case Get():
                self._uploads.want(neighbour, piece)
            case Cancel():
                self._uploads.cancel(neighbour, piece)
            case Piece(size=size):
                if size != (due := self._ledger.owners[owner].length(index)):
                    raise SwarmFault(f"its piece {index} of {owner!r} has {size} bytes, not {due}")
                self._downloads.announced(neighbour, piece)
            case Lost():
                self._downloads.retract(neighbour, piece)
                if owner != self._own.id and self._ledger.state[piece] == HELD:
                    neighbour.outbox.append(Have({owner: [index]}))

    def _take_have(self, neighbour: Neighbour, owner: str, indexes: Iterable[int]) -> None:
        for index in indexes:
            self._downloads.offer(neighbour, self._number(neighbour, owner, index))

    def _take_none(self, neighbour: Neighbour, message: NoPiece, now: float) -> None:
        if message.owner is UNSET or message.index is UNSET:
            self._downloads.denied_new(neighbour, now)
        else:
            piece = self._number(neighbour, message.owner, message.index)
            self._downloads.denied(neighbour, piece, now)
