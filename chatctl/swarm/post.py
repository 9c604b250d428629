"""What goes out at the end of a turn: to each peer what there is for it, in one go."""

from typing import Final

from chatctl.swarm.gossip import HaveAnnouncer
from chatctl.swarm.ledger import PieceTable
from chatctl.swarm.neighbour import PeerState
from chatctl.swarm.orders import Send
from chatctl.swarm.uploads import Uploads
from common.messages.swarm import Status

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
