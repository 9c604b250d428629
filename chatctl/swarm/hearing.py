"""What neighbours say: each message to the half it is for, once it makes sense."""

from collections.abc import Iterable
from typing import Final

from msgspec import UNSET

from chatctl.swarm.downloads import Downloads
from chatctl.swarm.gossip import Gossip
from chatctl.swarm.ledger import HELD, Ledger, set_bits
from chatctl.swarm.neighbour import Neighbour
from chatctl.swarm.orders import Learn, SwarmFault
from chatctl.swarm.uploads import Uploads
from common.messages.base import Message
from common.messages.swarm import (
    Cancel,
    RequestPiece,
    Have,
    Bitfield,
    HasManifest,
    DontHave,
    RequestAny,
    Reject,
    Piece,
    Status,
)

_MAX_OWNERS: Final = 1_000


class Hearing:
    """Takes the messages of neighbours; raises SwarmFault for those that make no sense."""

    def __init__(
        self, ledger: Ledger, downloads: Downloads, uploads: Uploads, gossip: Gossip
    ) -> None:
        self._ledger = ledger
        self._downloads = downloads
        self._uploads = uploads
        self._gossip = gossip
        self.to_learn: list[Learn] = []
        """Owners that neighbours know and this side does not, since this was emptied last."""

    def take(self, neighbour: Neighbour, message: Message, now: float) -> None:
        """Take a message; the most frequent come first."""
        match message:
            case Status():
                self._take_state(neighbour, message, now)
            case RequestPiece() | Piece() | Cancel() | DontHave():
                self._take_named(neighbour, message)
            case RequestAny():
                self._uploads.want_new(neighbour)
            case Have(pieces):
                for owner, indexes in pieces.items():
                    self._take_have(neighbour, owner, indexes)
            case Reject():
                self._take_none(neighbour, message, now)
            case Bitfield(owner, first, bits):
                self._take_have(neighbour, owner, set_bits(bits, first))
            case HasManifest(owner, digest):
                self._take_knows(neighbour, owner, digest)
            case _:
                raise TypeError(f"{type(message).__name__} is not for the planner")

    def agree(self, neighbour: Neighbour, name: str) -> None:
        """Begin to speak of an owner, if both sides know it by the same digest."""
        owner = self._ledger.owners[name]
        if neighbour.known.get(name) != owner.digest:
            return
        neighbour.agreed.add(name)
        if name == neighbour.id:
            self._downloads.offer_all(neighbour, owner)
        if not owner.is_own:  # to the owner, too, lest it take those pieces for fresh
            self._gossip.hold(neighbour, owner)

    def _take_knows(self, neighbour: Neighbour, owner: str, digest: str) -> None:
        if owner in neighbour.known:
            raise SwarmFault(f"it says again that it knows {owner!r}")
        if len(neighbour.known) == _MAX_OWNERS:
            raise SwarmFault(f"it says that it knows more than {_MAX_OWNERS} owners")
        neighbour.known[owner] = digest
        if owner in self._ledger.owners:
            self.agree(neighbour, owner)
        else:
            self.to_learn.append(Learn(neighbour.id, owner, digest))

    def _take_have(self, neighbour: Neighbour, owner: str, indexes: Iterable[int]) -> None:
        for index in indexes:
            self._downloads.offer(neighbour, self._number(neighbour, owner, index))

    def _take_state(self, neighbour: Neighbour, state: Status, now: float) -> None:
        self._uploads.acknowledge(neighbour, state.got, now)
        neighbour.backlog = state.upload_backlog
        neighbour.is_complete = state.complete
        if neighbour.has_fresh != state.unsent_own:
            neighbour.has_fresh = state.unsent_own
            self._downloads.look_at(neighbour)

    def _take_named(
        self, neighbour: Neighbour, message: RequestPiece | Piece | Cancel | DontHave
    ) -> None:
        piece = self._number(neighbour, message.owner, message.index)
        match message:
            case RequestPiece():
                self._uploads.want(neighbour, piece)
            case Piece():
                self._take_header(neighbour, piece, message)
            case Cancel():
                self._uploads.cancel(neighbour, piece)
            case DontHave(owner, index):
                self._downloads.retract(neighbour, piece)
                if self._ledger.state[piece] == HELD and not self._ledger.owners[owner].is_own:
                    neighbour.say(Have({owner: [index]}))

    def _take_header(self, neighbour: Neighbour, piece: int, header: Piece) -> None:
        length = self._ledger.owners[header.owner].length(header.index)
        if header.size != length:
            raise SwarmFault(
                f"its piece {header.index} of {header.owner!r} has {header.size} bytes, "
                f"and should have {length}"
            )
        self._downloads.announced(neighbour, piece)

    def _take_none(self, neighbour: Neighbour, message: Reject, now: float) -> None:
        if message.owner is UNSET or message.index is UNSET:
            self._downloads.denied_new(neighbour, now)
        else:
            piece = self._number(neighbour, message.owner, message.index)
            self._downloads.denied(neighbour, piece, now)

    def _number(self, neighbour: Neighbour, owner: str, index: int) -> int:
        if owner not in neighbour.agreed:
            raise SwarmFault(f"it speaks of the files of {owner!r}, whom not both sides know")
        return self._ledger.number(owner, index)
