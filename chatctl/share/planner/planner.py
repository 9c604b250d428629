"""The planner of a swarm (sans-I/O): which pieces to request from whom, and which to send to whom.

No sockets, no files, no clock. Each event comes with the time `now` (monotonic, s, never earlier
than the one before). The caller fetches actions with `take_actions` once an iteration of its event
loop, so that all messages to one peer go out in one write.
"""

from collections.abc import Iterator
from random import Random

from bitarray import bitarray

from chatctl.share.planner.actions import Action, DownloadStatus, Drop, MissingPiece
from chatctl.share.planner.announce import HaveAnnouncer, OutgoingBatch
from chatctl.share.planner.downloads import Downloads
from chatctl.share.planner.messages import MessageHandler
from chatctl.share.planner.peer_state import PeerState
from chatctl.share.planner.piece_table import HAVE, REQUESTED, PieceTable
from chatctl.share.planner.uploads import Uploads
from common.manifest import Layout
from common.messages.base import Message
from common.messages.peer_wire import DontHave, HasManifest


class Planner:
    """Plans for the peer `own`, whose files have this `layout` and this manifest `digest`."""

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

    # Events

    def add_owner(
        self, owner: str, digest: str, layout: Layout, held: bitarray, now: float
    ) -> None:
        """Add the files of `owner`: its manifest is known, and the pieces `held` are here.

        Call it once for each other owner, whether it is connected, comes later, or is gone. Its
        pieces are requested from then on. Raises ValueError when the owner was added before.
        """
        if owner in self._table.owners:
            raise ValueError(f"the files of {owner!r} were added before")
        entry = self._table.add(owner, digest, layout, held)
        for peer in self._peers.values():
            peer.bitfield += bytes(len(self._table.held) - len(peer.bitfield))
            peer.send(HasManifest(owner, digest))
            self._handler.agree_on_owner(peer, owner)
        if entry.held:
            self._announcer.schedule(now)

    def add_peer(self, peer_id: str, now: float, round_trip: float = 0.0) -> None:
        """Add a connected `peer_id`, after the handshake.

        `round_trip` (s) is the shortest round trip time seen on the idle connection; 0 when unknown
        costs throughput on long paths. The planner's own messages exchange who has which pieces.
        Raises ValueError when the peer is already connected.
        """
        if peer_id in self._peers:
            raise ValueError(f"{peer_id!r} is already connected")
        peer = PeerState(peer_id, round_trip, now, self._outgoing.dirty)
        peer.bitfield += bytes(len(self._table.held))
        self._peers[peer_id] = peer
        self._announcer.add_peer(peer)
        for owner in self._table.owners.values():
            peer.send(HasManifest(owner.id, owner.digest))
        self._last_progress_at = now

    def remove_peer(self, peer_id: str, now: float) -> None:
        """Remove a peer whose connection is closed or is being closed.

        Its requests go to others. No effect for a peer that is not connected.
        """
        peer = self._peers.pop(peer_id, None)
        if peer is not None:
            self._downloads.remove_peer(peer)
            self._uploads.remove_peer(peer)
            self._outgoing.dirty.pop(peer, None)

    def receive(self, peer_id: str, message: Message, now: float) -> None:
        """Handle a message of `common.messages.peer_wire` from a connected peer.

        Pass a `Piece` as soon as its header is there: when this returns, the piece was requested
        and has the right size, and its bytes may be read. After ProtocolViolationError the caller
        drops the peer and calls `remove_peer`.
        """
        self._handler.handle(self._peers[peer_id], message, now)

    def piece_received(self, peer_id: str, owner: str, index: int, now: float) -> bool:
        """Note that all bytes of a piece arrived, not verified yet, after its header.

        Return True when `piece_verified` or `piece_lost` must follow, and False for a duplicate,
        which the caller discards.
        """
        self._last_progress_at = now
        piece = self._table.number(owner, index)
        return self._downloads.on_piece(self._peers[peer_id], piece, now)

    def piece_verified(self, owner: str, index: int, now: float) -> None:
        """Note that a received piece has the digest of its manifest and can be read from now on."""
        piece = self._table.number(owner, index)
        if self._table.state[piece] != HAVE:
            self._table.set_state(piece, HAVE)
            self._announcer.schedule(now)

    def piece_lost(self, owner: str, index: int, now: float) -> None:
        """Note that a piece is missing: it arrived corrupt, or was held and is corrupt now.

        It is requested again. The caller drops the peer that sent a corrupt piece, and calls
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
        """Note that a piece was not sent to `peer_id`, because it could not be read.

        The peer's request is rejected, and no other peer gets this piece from here. A piece of
        another owner is requested again.
        """
        piece = self._table.number(owner, index)
        peer = self._peers.get(peer_id)
        if peer is not None:
            self._uploads.piece_unreadable(peer, piece)
        self.piece_lost(owner, index, now)

    def on_timer(self, now: float) -> None:
        """Do what is due; call it at `next_deadline` or a little later."""
        if self._announcer.due is not None and now >= self._announcer.due:
            self._announcer.announce_all(now)
        if self._downloads.review_due is not None and now >= self._downloads.review_due:
            for peer in self._downloads.review(now):
                self._drops.append(Drop(peer.id, "answers no requests"))

    # Actions and state

    @property
    def next_deadline(self) -> float | None:
        """When to call `on_timer` (s, on the clock of `now`); None when only events matter."""
        due = [self._announcer.due, self._downloads.review_due, self._uploads.due]
        return min((each for each in due if each is not None), default=None)

    def take_actions(self, now: float) -> list[Action]:
        """Return the actions to carry out, and forget them; call it after each batch of events."""
        self._downloads.send_requests(now)
        if self._uploads.send_pieces(now):
            self._last_progress_at = now
        actions: list[Action] = [*self._drops, *self._handler.to_fetch, *self._outgoing.collect()]
        self._drops.clear()
        self._handler.to_fetch.clear()
        return actions

    @property
    def is_complete(self) -> bool:
        """Whether all pieces of all known owners are held and verified."""
        return self._table.is_complete

    @property
    def is_needed(self) -> bool:
        """Whether a connected peer still lacks pieces, as far as it announced."""
        return any(not peer.is_complete for peer in self._peers.values())

    def is_peer_incomplete(self, peer_id: str) -> bool:
        """Tell whether a connected `peer_id` lacks pieces, as far as it announced."""
        return not self._peers[peer_id].is_complete

    @property
    def last_progress_at(self) -> float:
        """When the last piece arrived or left (s), or the last peer joined before any did.

        The caller uses it to give up a stalled swarm.
        """
        return self._last_progress_at

    def status(self) -> dict[str, DownloadStatus]:
        """Return how many pieces of each other owner are held."""
        return {
            owner.id: DownloadStatus(owner.held, owner.count)
            for owner in self._table.owners.values()
            if not owner.is_own
        }

    def missing(self) -> Iterator[MissingPiece]:
        """Yield the pieces that are not held; takes time linear in the pieces of their owners."""
        for owner in self._table.owners.values():
            if owner.held == owner.count:
                continue
            for index in range(owner.count):
                piece = owner.base + index
                if self._table.state[piece] != HAVE:
                    holders = (each.id for each in self._peers.values() if each.has(piece))
                    yield MissingPiece(owner.id, index, tuple(holders))
