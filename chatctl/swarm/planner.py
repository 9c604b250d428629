"""The plan of one peer in a swarm: what it asks of whom, and whom it sends what.

No sockets, no files, no clock: each event comes with the time `now` (monotonic, s, never less than
the time before), and what is to be done is fetched with `take_orders` when the events of a turn of
the loop are through, so that what goes to one peer goes in one write.
"""

from random import Random
from typing import NamedTuple

from msgspec import Struct

from chatctl.swarm.orders import Order
from common.messages.base import Message
from common.pieces import Bitfield, Layout


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

    def __init__(self, own: str, digest: str, layout: Layout, *, random: Random) -> None: ...

    # What the shell tells

    def know(self, owner: str, digest: str, layout: Layout, held: Bitfield, now: float) -> None:
        """Count the files of `owner` in: its manifest is known, and the pieces `held` are here.

        To be called once for each other owner, whether it is linked, comes later, or is gone; only
        then its pieces are asked for. Raises ValueError when it was called before.
        """
        raise NotImplementedError

    def join(self, peer: str, now: float) -> None:
        """Begin with a linked `peer`, after the handshake.

        What each has of whom is exchanged by messages of the planner itself. Raises ValueError when
        it is linked already.
        """
        raise NotImplementedError

    def leave(self, peer: str, now: float) -> None:
        """End with a peer whose link is gone, or is being closed.

        What was asked of it is asked elsewhere. Without effect for a peer that is not linked.
        """
        raise NotImplementedError

    def receive(self, peer: str, message: Message, now: float) -> None:
        """Take a message of `common.messages.swarm` from a linked peer.

        A `Piece` is received when its header is there: what this returns for was asked for, is of
        the right size, and its bytes may be read. Raises SwarmFault, after which the shell drops
        the peer, and calls `leave`.
        """
        raise NotImplementedError

    def arrived(self, peer: str, owner: str, index: int, now: float) -> None:
        """Note that all bytes of a piece came, unverified, behind the header that was received."""
        raise NotImplementedError

    def verified(self, owner: str, index: int, now: float) -> None:
        """Note that a piece which arrived is what its owner announced, and can be read from now."""
        raise NotImplementedError

    def lost(self, owner: str, index: int, now: float) -> None:
        """Note that a piece is not here: it arrived and is bad, or was held and is spoilt.

        It is asked for again. Who sent a bad piece is dropped by the shell, which calls `leave`
        before this.
        """
        raise NotImplementedError

    def unreadable(self, peer: str, owner: str, index: int, now: float) -> None:
        """Note that a piece ordered for `peer` was not sent, because it could not be read.

        The peer is told, and nobody gets this piece from here. One of another owner is asked for
        again.
        """
        raise NotImplementedError

    def wake(self, now: float) -> None:
        """Do what is due by the clock; to be called at `deadline`, or somewhat later."""
        raise NotImplementedError

    # What the planner tells

    @property
    def deadline(self) -> float | None:
        """When to `wake` it, on the clock of `now` (s); None when only events move it on."""
        raise NotImplementedError

    def take_orders(self, now: float) -> list[Order]:
        """Return what is to be done, and forget it; to be called after each batch of events."""
        raise NotImplementedError

    @property
    def is_complete(self) -> bool:
        """Whether every piece of every owner that is known is held and verified."""
        raise NotImplementedError

    @property
    def is_needed(self) -> bool:
        """Whether a linked peer still lacks pieces, as far as it said."""
        raise NotImplementedError

    @property
    def progressed_at(self) -> float:
        """When the last piece arrived or left (s, as `now`); before any, when the last peer joined.

        For the shell to give up a swarm in which nothing moves any more.
        """
        raise NotImplementedError

    def progress(self) -> dict[str, Progress]:
        """Return how far each known owner's pieces are here, this peer's own left out."""
        raise NotImplementedError

    def missing(self) -> list[Missing]:
        """Return the pieces that are not held. Takes time linear in all pieces."""
        raise NotImplementedError
