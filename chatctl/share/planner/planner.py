"""The plan of one peer in a swarm: what it asks of whom, and whom it sends what.

No sockets, no files, no clock: each event comes with the time `now` (monotonic, s, never less than
the time before), and what is to be done is fetched with `take_actions` when the events of a turn of
the loop are through, so that what goes to one peer goes in one write.
"""

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from bitarray import bitarray
from msgspec import Struct

from chatctl.share.planner.actions import Action, Drop
from chatctl.share.planner.announce import HaveAnnouncer, OutgoingBatch
from chatctl.share.planner.downloads import Downloads
from chatctl.share.planner.messages import MessageHandler
from chatctl.share.planner.peer_state import PeerState
from chatctl.share.planner.piece_table import HAVE, REQUESTED, PieceTable
from chatctl.share.planner.uploads import Uploads
from common.manifest import Layout
from common.messages.base import Message
from common.messages.peer_wire import DontHave, HasManifest


class DownloadStatus(NamedTuple):
    """How many of an owner's `total` pieces are held."""

    held: int
    total: int


class MissingPiece(Struct, frozen=True):
    """A piece that is not held, and the connected peers that have it (none: nobody here has it)."""

    owner: str
    index: int
    holders: tuple[str, ...]


class Planner:
    """Plans for the peer `own`, whose pieces lie in `layout` under the manifest of `digest`."""

    def __init__(self, own: str, digest: str, layout: Layout, *, random: Random) -> None:
        self._table = PieceTable()
        self._own = self._table.add(own, digest, layout, ~bitarray(len(layout)), is_own=True)
        self._peers: dict[str, PeerState] = {}
        self._downloads = Downloads(self._table, self._peers, random)
        self._uploads = Uploads(self._table, self._own, self._peers)
        self._announcer = HaveAnnouncer(self._table, self._uploads, self._peers)
        self._handler = MessageHandler(self._table, self._downloads, self._uploads, self._announcer)
        self._outgoing = OutgoingBatch(self._table, self._uploads, self._announcer, self._peers)
        self._drops: list[Drop] = []
        self._last_progress_at = 0.0

    # What the shell tells

    def add_owner(
        self, owner: str, digest: str, layout: Layout, held: bitarray, now: float
    ) -> None:
        """Count the files of `owner` in: its manifest is known, and the pieces `held` are here.

        To be called once for each other owner, whether it is connected, comes later, or is gone;
        only then its pieces are asked for. Raises ValueError when it was called before.
        """
        if owner in self._table.owners:
            raise ValueError(f"the files of {owner!r} are known already")
        entry = self._table.add(owner, digest, layout, held)
        for peer in self._peers.values():
            peer.bitfield += bytes(len(self._table.held) - len(peer.bitfield))
            peer.send(HasManifest(owner, digest))
            self._handler.agree_on_owner(peer, owner)
        if entry.held:
            self._announcer.schedule(now)

    def add_peer(self, peer_id: str, now: float, round_trip: float = 0.0) -> None:
        """Begin with a connected `peer_id`, after the handshake.

        `round_trip` (s) is how long word and answer take while nothing else is on the connection:
        the shortest that was seen. On long connections 0 costs throughput. What each has of whom is
        exchanged by messages of the planner itself. Raises ValueError when the peer is connected
        already.
        """
        if peer_id in self._peers:
            raise ValueError(f"{peer_id!r} is connected already")
        peer = PeerState(peer_id, round_trip, now, self._outgoing.dirty)
        peer.bitfield += bytes(len(self._table.held))
        self._peers[peer_id] = peer
        self._announcer.add_peer(peer)
        for owner in self._table.owners.values():
            peer.send(HasManifest(owner.id, owner.digest))
        self._last_progress_at = now

    def remove_peer(self, peer_id: str, now: float) -> None:
        """End with a peer whose connection is gone, or is being closed.

        What was asked of it is asked elsewhere. Without effect for a peer that is not connected.
        """
        peer = self._peers.pop(peer_id, None)
        if peer is not None:
            self._downloads.remove_peer(peer)
            self._uploads.remove_peer(peer)
            self._outgoing.dirty.pop(peer, None)

    def receive(self, peer_id: str, message: Message, now: float) -> None:
        """Take a message of `common.messages.peer_wire` from a connected peer.

        A `Piece` is received when its header is there: what this returns for was asked for, is of
        the right size, and its bytes may be read. Raises ProtocolViolationError, after which the
        shell drops the peer, and calls `remove_peer`.
        """
        self._handler.handle(self._peers[peer_id], message, now)

    def piece_received(self, peer_id: str, owner: str, index: int, now: float) -> bool:
        """Note that all bytes of a piece came, unverified, behind the header that was received.

        Return whether they are wanted. If not, they came twice, and are to be forgotten; otherwise
        `piece_verified` or `piece_lost` is to follow.
        """
        self._last_progress_at = now
        piece = self._table.number(owner, index)
        return self._downloads.on_piece(self._peers[peer_id], piece, now)

    def piece_verified(self, owner: str, index: int, now: float) -> None:
        """Note that a piece which arrived is what its owner announced, and can be read from now."""
        piece = self._table.number(owner, index)
        if self._table.state[piece] != HAVE:
            self._table.set_state(piece, HAVE)
            self._announcer.schedule(now)

    def piece_lost(self, owner: str, index: int, now: float) -> None:
        """Note that a piece is not here: it arrived and is bad, or was held and is corrupt.

        It is asked for again. Who sent a bad piece is dropped by the shell, which calls
        `remove_peer` before this.
        """
        piece = self._table.number(owner, index)
        state = self._table.state[piece]
        if self._table.owners[owner].is_own:
            self._uploads.withdraw(piece)
        elif state > REQUESTED:
            self._downloads.mark_missing(piece)
            if state == HAVE:
                for peer in self._peers.values():
                    if owner in peer.agreed_owners:
                        peer.send(DontHave(owner, index))

    def piece_unreadable(self, peer_id: str, owner: str, index: int, now: float) -> None:
        """Note that a piece taken for `peer_id` was not sent, because it could not be read.

        The peer is told, and nobody gets this piece from here. One of another owner is asked for
        again.
        """
        piece = self._table.number(owner, index)
        peer = self._peers.get(peer_id)
        if peer is not None:
            self._uploads.piece_unreadable(peer, piece)
        self.piece_lost(owner, index, now)

    def on_timer(self, now: float) -> None:
        """Do what is due by the clock; to be called at `next_deadline`, or somewhat later."""
        if self._announcer.due is not None and now >= self._announcer.due:
            self._announcer.announce_all(now)
        if self._downloads.review_due is not None and now >= self._downloads.review_due:
            for peer in self._downloads.review(now):
                self._drops.append(Drop(peer.id, "answers no requests"))

    # What the planner tells

    @property
    def next_deadline(self) -> float | None:
        """When to `on_timer` it, on the clock of `now` (s); None when only events move it on."""
        due = [self._announcer.due, self._downloads.review_due, self._uploads.due]
        return min((each for each in due if each is not None), default=None)

    def take_actions(self, now: float) -> list[Action]:
        """Return what is to be done, and forget it; to be called after each batch of events."""
        self._downloads.send_requests(now)
        if self._uploads.send_pieces(now):
            self._last_progress_at = now
        actions: list[Action] = [*self._drops, *self._handler.to_fetch, *self._outgoing.collect()]
        self._drops.clear()
        self._handler.to_fetch.clear()
        return actions

    @property
    def is_complete(self) -> bool:
        """Whether every piece of every owner that is known is held and verified."""
        return self._table.is_complete

    @property
    def is_needed(self) -> bool:
        """Whether a connected peer still lacks pieces, as far as it said."""
        return any(not peer.is_complete for peer in self._peers.values())

    def is_peer_incomplete(self, peer_id: str) -> bool:
        """Tell whether a connected `peer_id` lacks pieces, as far as it said."""
        return not self._peers[peer_id].is_complete

    @property
    def last_progress_at(self) -> float:
        """When the last piece arrived or left (s, as `now`); before any, when the last peer joined.

        For the shell to give up a swarm in which nothing moves any more.
        """
        return self._last_progress_at

    def status(self) -> dict[str, DownloadStatus]:
        """Return how far each known owner's pieces are here, this peer's own left out."""
        return {
            owner.id: DownloadStatus(owner.held, owner.count)
            for owner in self._table.owners.values()
            if not owner.is_own
        }

    def missing(self) -> Iterator[MissingPiece]:
        """Yield the pieces that are not held. Takes time linear in the pieces of their owners."""
        for owner in self._table.owners.values():
            if owner.held == owner.count:
                continue
            for index in range(owner.count):
                piece = owner.base + index
                if self._table.state[piece] != HAVE:
                    holders = (each.id for each in self._peers.values() if each.has(piece))
                    yield MissingPiece(owner.id, index, tuple(holders))
