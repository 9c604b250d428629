"""Announcements (`have`, `bitfield`), and the batch of messages that goes to each peer."""

from typing import Final

from chatctl.share.planner.actions import Send
from chatctl.share.planner.peer_state import PeerState
from chatctl.share.planner.piece_table import Owner, PieceTable
from chatctl.share.planner.uploads import Uploads
from common.messages.peer_wire import MAX_BITFIELD, MAX_HAVE, Bitfield, Have, Status

_MIN: Final = 0.03
_PER_PEER: Final = 0.01


class HaveAnnouncer:
    """Announces new pieces to peers, batched.

    An announcement goes along with whatever else is sent to a peer. A peer to which nothing else
    is sent gets one every 30 ms, or every 10 ms times the number of peers in a larger swarm. While
    only unsent pieces leave from here, nobody could use an announcement, and none is made.
    """

    def __init__(self, table: PieceTable, uploads: Uploads, peers: dict[str, PeerState]) -> None:
        self._table = table
        self._uploads = uploads
        self._peers = peers
        self.due: float | None = None
        """When to call `announce_all` (s); None while there is nothing to announce."""

    def add_peer(self, peer: PeerState) -> None:
        """Start with a new peer; `send_bitfield` covers the pieces acquired so far."""
        peer.announced_count = len(self._table.acquired)

    def send_bitfield(self, peer: PeerState, owner: Owner) -> None:
        """Send which pieces of an owner are here; the peer knows the owner's manifest."""
        start = owner.base // 8
        bits = self._table.held[start : start + (owner.count + 7) // 8]
        for first in range(0, len(bits), MAX_BITFIELD):
            part = bytes(bits[first : first + MAX_BITFIELD])
            if any(part):
                peer.send(Bitfield(owner.id, 8 * first, part))

    def schedule(self, now: float) -> None:
        """Note that there is a new piece to announce."""
        if self.due is None:
            self.due = now + max(_MIN, _PER_PEER * (len(self._peers) + 1))

    def announce_all(self, now: float) -> None:
        """Announce to every peer what is new to it."""
        self.due = None
        if self._uploads.is_super_seeding:
            self.schedule(now)
            return
        for peer in self._peers.values():
            self.announce(peer)

    def announce(self, peer: PeerState) -> None:
        """Announce the new pieces that a peer does not have itself."""
        if self._uploads.is_super_seeding:
            return
        acquired = self._table.acquired[peer.announced_count :]
        peer.announced_count += len(acquired)
        if peer.is_complete:
            return
        named: dict[str, list[int]] = {}
        count = 0
        for piece in acquired:
            owner = self._table.owner_of(piece)
            if owner.id not in peer.agreed_owners or peer.has(piece):
                continue
            named.setdefault(owner.id, []).append(piece - owner.base)
            count += 1
            if count == MAX_HAVE:
                peer.send(Have(named))
                named, count = {}, 0
        if named:
            peer.send(Have(named))


_MAX_BACKLOG: Final = 1e6


class OutgoingBatch:
    """Collects the messages to each peer; `Status` and `Have` go along with the others."""

    def __init__(
        self,
        table: PieceTable,
        uploads: Uploads,
        announcer: HaveAnnouncer,
        peers: dict[str, PeerState],
    ) -> None:
        self._table = table
        self._uploads = uploads
        self._announcer = announcer
        self._peers = peers
        self.dirty: dict[PeerState, None] = {}
        """Peers to which messages are waiting to go."""
        self._last_flags = (False, False)

    def collect(self) -> list[Send]:
        """Return the messages that are waiting, and forget them."""
        flags = self._uploads.has_unsent, self._table.is_complete
        if flags != self._last_flags:
            self._last_flags = flags
            for peer in self._peers.values():
                peer.mark_dirty()
        sends: list[Send] = []
        upload_backlog = round(min(self._uploads.upload_backlog, _MAX_BACKLOG), 3)
        for peer in list(self.dirty):
            self._announcer.announce(peer)
            status = Status(peer.requested.got, upload_backlog, *flags)
            if status != peer.last_status:
                peer.last_status = status
                sends.append(Send(peer.id, status))
            sends += [Send(peer.id, message) for message in peer.outgoing]
            peer.outgoing.clear()
        self.dirty.clear()
        return sends
