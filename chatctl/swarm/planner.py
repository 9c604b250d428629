"""The plan of one peer in a swarm: what it asks of whom, and whom it sends what.

No sockets, no files, no clock: each event comes with the time `now` (monotonic, s, never less than
the time before), and what is to be done is fetched with `take_orders` when the events of a turn of
the loop are through, so that what goes to one peer goes in one write.
"""

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from msgspec import Struct

from chatctl.swarm.downloads import Downloads
from chatctl.swarm.gossip import Gossip
from chatctl.swarm.hearing import Hearing
from chatctl.swarm.ledger import ASKED, HELD, Ledger
from chatctl.swarm.neighbour import Neighbour
from chatctl.swarm.orders import Drop, Order
from chatctl.swarm.post import Post
from chatctl.swarm.uploads import Uploads
from common.messages.base import Message
from common.messages.swarm import HasManifest, DontHave
from common.pieces import PieceSet, Layout


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
        self._own = self._ledger.add(own, digest, layout, PieceSet.full(len(layout)), is_own=True)
        self._neighbours: dict[str, Neighbour] = {}
        self._downloads = Downloads(self._ledger, self._neighbours, random)
        self._uploads = Uploads(self._ledger, self._own, self._neighbours)
        self._gossip = Gossip(self._ledger, self._uploads, self._neighbours)
        self._hearing = Hearing(self._ledger, self._downloads, self._uploads, self._gossip)
        self._post = Post(self._ledger, self._uploads, self._gossip, self._neighbours)
        self._drops: list[Drop] = []
        self._progressed_at = 0.0

    # What the shell tells

    def know(self, owner: str, digest: str, layout: Layout, held: PieceSet, now: float) -> None:
        """Count the files of `owner` in: its manifest is known, and the pieces `held` are here.

        To be called once for each other owner, whether it is linked, comes later, or is gone; only
        then its pieces are asked for. Raises ValueError when it was called before.
        """
        if owner in self._ledger.owners:
            raise ValueError(f"the files of {owner!r} are known already")
        entry = self._ledger.add(owner, digest, layout, held)
        for neighbour in self._neighbours.values():
            neighbour.holds += bytes(len(self._ledger.held) - len(neighbour.holds))
            neighbour.say(HasManifest(owner, digest))
            self._hearing.agree(neighbour, owner)
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
        neighbour = Neighbour(peer, round_trip, now, self._post.speakers)
        neighbour.holds += bytes(len(self._ledger.held))
        self._neighbours[peer] = neighbour
        self._gossip.join(neighbour)
        for owner in self._ledger.owners.values():
            neighbour.say(HasManifest(owner.id, owner.digest))
        self._progressed_at = now

    def leave(self, peer: str, now: float) -> None:
        """End with a peer whose link is gone, or is being closed.

        What was asked of it is asked elsewhere. Without effect for a peer that is not linked.
        """
        neighbour = self._neighbours.pop(peer, None)
        if neighbour is not None:
            self._downloads.leave(neighbour)
            self._uploads.leave(neighbour)
            self._post.speakers.pop(neighbour, None)

    def receive(self, peer: str, message: Message, now: float) -> None:
        """Take a message of `common.messages.swarm` from a linked peer.

        A `Piece` is received when its header is there: what this returns for was asked for, is of
        the right size, and its bytes may be read. Raises SwarmFault, after which the shell drops
        the peer, and calls `leave`.
        """
        self._hearing.take(self._neighbours[peer], message, now)

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
        if self._ledger.owners[owner].is_own:
            self._uploads.withdraw(piece)
        elif state > ASKED:
            self._downloads.lack(piece)
            if state == HELD:
                for neighbour in self._neighbours.values():
                    if owner in neighbour.agreed:
                        neighbour.say(DontHave(owner, index))

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
            self._gossip.tell_all(now)
        if self._downloads.review_due is not None and now >= self._downloads.review_due:
            for neighbour in self._downloads.review(now):
                self._drops.append(Drop(neighbour.id, "answers no requests"))

    # What the planner tells

    @property
    def deadline(self) -> float | None:
        """When to `wake` it, on the clock of `now` (s); None when only events move it on."""
        due = [self._gossip.due, self._downloads.review_due, self._uploads.due]
        return min((each for each in due if each is not None), default=None)

    def take_orders(self, now: float) -> list[Order]:
        """Return what is to be done, and forget it; to be called after each batch of events."""
        self._downloads.ask(now)
        if self._uploads.fill(now):
            self._progressed_at = now
        orders: list[Order] = [*self._drops, *self._hearing.to_learn, *self._post.collect()]
        self._drops.clear()
        self._hearing.to_learn.clear()
        return orders

    @property
    def is_complete(self) -> bool:
        """Whether every piece of every owner that is known is held and verified."""
        return self._ledger.is_complete

    @property
    def is_needed(self) -> bool:
        """Whether a linked peer still lacks pieces, as far as it said."""
        return any(not neighbour.is_complete for neighbour in self._neighbours.values())

    def lacks(self, peer: str) -> bool:
        """Tell whether a linked `peer` lacks pieces, as far as it said."""
        return not self._neighbours[peer].is_complete

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
            if not owner.is_own
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
