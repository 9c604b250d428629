"""Who has what: what peers are told, and when.

What goes out at the end of a turn: to each peer what there is for it, in one go.
"""

from typing import Final

from chatctl.share.planner.actions import Send
from chatctl.share.planner.peer_state import PeerState
from chatctl.share.planner.piece_table import Owner, PieceTable
from chatctl.share.planner.uploads import Uploads
from common.messages.peer_wire import MAX_BITFIELD, MAX_HAVE, Bitfield, Have, Status

_MIN: Final = 0.03
_PER_PEER: Final = 0.01


class HaveAnnouncer:
    """Tells peers what was acquired since they were told last.

    That rides on whatever else goes to a peer. Those to which nothing goes are told every
    30 ms, or 10 ms for each peer in a swarm of more than three. Nobody is told as long as it is of
    no use, because only unsent pieces leave from here.
    """

    def __init__(self, table: PieceTable, uploads: Uploads, peers: dict[str, PeerState]) -> None:
        self._table = table
        self._uploads = uploads
        self._peers = peers
        self.due: float | None = None
        """When to `announce_all` (s); None while there is nothing to tell."""

    def add_peer(self, peer: PeerState) -> None:
        """Begin with a peer; what was acquired before is told by `send_bitfield`."""
        peer.announced_count = len(self._table.acquired)

    def send_bitfield(self, peer: PeerState, owner: Owner) -> None:
        """Tell all that is held of an owner, whose manifest the peer knows."""
        start = owner.base // 8
        bits = self._table.held[start : start + (owner.count + 7) // 8]
        for first in range(0, len(bits), MAX_BITFIELD):
            part = bytes(bits[first : first + MAX_BITFIELD])
            if any(part):
                peer.send(Bitfield(owner.id, 8 * first, part))

    def schedule(self, now: float) -> None:
        """Take note that a piece more is held."""
        if self.due is None:
            self.due = now + max(_MIN, _PER_PEER * (len(self._peers) + 1))

    def announce_all(self, now: float) -> None:
        """Put what is new into the outgoing messages of everyone who was not told."""
        self.due = None
        if self._uploads.is_super_seeding:
            self.schedule(now)
            return
        for peer in self._peers.values():
            self.announce(peer)

    def announce(self, peer: PeerState) -> None:
        """Announce to a peer what is new to it, unless it has that itself."""
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
    """Collects what goes out. Acknowledgements, backlog and `Have` ride on what there is to say."""

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
        """Peers to which there is something to say."""
        self._last_flags = (False, False)

    def collect(self) -> list[Send]:
        """Return what goes out, and forget it."""
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
