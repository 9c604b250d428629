"""Message handling of the planner: validate each message of a peer, and pass it on.

Requests go to `Uploads`, answers and announcements to `Downloads`.
"""

from collections.abc import Iterable
from typing import Final

from msgspec import UNSET

from chatctl.share.planner.actions import FetchManifest, ProtocolViolationError
from chatctl.share.planner.announce import HaveAnnouncer
from chatctl.share.planner.downloads import Downloads
from chatctl.share.planner.peer_state import PeerState
from chatctl.share.planner.piece_table import HAVE, PieceTable, set_bits
from chatctl.share.planner.uploads import Uploads
from common.messages.base import Message
from common.messages.peer_wire import (
    Bitfield,
    Cancel,
    DontHave,
    HasManifest,
    Have,
    Piece,
    Reject,
    RequestAny,
    RequestPiece,
    Status,
)

_MAX_OWNERS: Final = 1_000


class MessageHandler:
    """Handles the messages of peers; raises ProtocolViolationError for invalid ones."""

    def __init__(
        self, table: PieceTable, downloads: Downloads, uploads: Uploads, announcer: HaveAnnouncer
    ) -> None:
        self._table = table
        self._downloads = downloads
        self._uploads = uploads
        self._announcer = announcer
        self.to_fetch: list[FetchManifest] = []
        """Manifests that peers announced and that are unknown here; the planner takes them out."""

    def handle(self, peer: PeerState, message: Message, now: float) -> None:
        """Handle a message; the most frequent kinds come first."""
        match message:
            case Status():
                self._on_status(peer, message, now)
            case RequestPiece() | Piece() | Cancel() | DontHave():
                self._on_piece_message(peer, message)
            case RequestAny():
                self._uploads.on_request_any(peer)
            case Have(pieces):
                for owner, indexes in pieces.items():
                    self._on_have(peer, owner, indexes)
            case Reject():
                self._on_reject(peer, message, now)
            case Bitfield(owner, first, bits):
                self._on_have(peer, owner, set_bits(bits, first))
            case HasManifest(owner, digest):
                self._on_has_manifest(peer, owner, digest)
            case _:
                raise TypeError(f"{type(message).__name__} is not for the planner")

    def agree_on_owner(self, peer: PeerState, name: str) -> None:
        """Exchange the pieces of an owner if both sides have its manifest, with the same digest."""
        owner = self._table.owners[name]
        if peer.known_manifests.get(name) != owner.digest:
            return
        peer.agreed_owners.add(name)
        if name == peer.id:
            self._downloads.add_have_all(peer, owner)
        if not owner.is_own:  # also to the owner, which would take those pieces for unsent
            self._announcer.send_bitfield(peer, owner)

    def _on_has_manifest(self, peer: PeerState, owner: str, digest: str) -> None:
        if owner in peer.known_manifests:
            raise ProtocolViolationError(f"it announced the manifest of {owner!r} twice")
        if len(peer.known_manifests) == _MAX_OWNERS:
            raise ProtocolViolationError(f"it announced more than {_MAX_OWNERS} manifests")
        peer.known_manifests[owner] = digest
        if owner in self._table.owners:
            self.agree_on_owner(peer, owner)
        else:
            self.to_fetch.append(FetchManifest(peer.id, owner, digest))

    def _on_have(self, peer: PeerState, owner: str, indexes: Iterable[int]) -> None:
        for index in indexes:
            self._downloads.add_have(peer, self._number(peer, owner, index))

    def _on_status(self, peer: PeerState, status: Status, now: float) -> None:
        self._uploads.on_acknowledged(peer, status.got, now)
        peer.upload_backlog = status.upload_backlog
        peer.is_complete = status.complete
        if peer.has_unsent != status.unsent_own:
            peer.has_unsent = status.unsent_own
            self._downloads.mark_changed(peer)

    def _on_piece_message(
        self, peer: PeerState, message: RequestPiece | Piece | Cancel | DontHave
    ) -> None:
        piece = self._number(peer, message.owner, message.index)
        match message:
            case RequestPiece():
                self._uploads.on_request(peer, piece)
            case Piece():
                self._on_piece_header(peer, piece, message)
            case Cancel():
                self._uploads.cancel(peer, piece)
            case DontHave(owner, index):
                self._downloads.remove_have(peer, piece)
                if self._table.state[piece] == HAVE and not self._table.owners[owner].is_own:
                    peer.send(Have({owner: [index]}))

    def _on_piece_header(self, peer: PeerState, piece: int, header: Piece) -> None:
        length = self._table.owners[header.owner].length(header.index)
        if header.size != length:
            raise ProtocolViolationError(
                f"its piece {header.index} of {header.owner!r} has {header.size} bytes "
                f"instead of {length}"
            )
        self._downloads.on_piece_header(peer, piece)

    def _on_reject(self, peer: PeerState, message: Reject, now: float) -> None:
        if message.owner is UNSET or message.index is UNSET:
            self._downloads.on_reject_any(peer, now)
        else:
            piece = self._number(peer, message.owner, message.index)
            self._downloads.on_reject(peer, piece, now)

    def _number(self, peer: PeerState, owner: str, index: int) -> int:
        if owner not in peer.agreed_owners:
            raise ProtocolViolationError(
                f"it named a piece of {owner!r}, whose manifest not both sides have"
            )
        return self._table.number(owner, index)
