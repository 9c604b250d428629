"""What happens while files are shared, as a program reads it and as a person does."""

from typing import ClassVar

from msgspec import Struct

from common.protocol.text_format import escape_control
from common.values import format_duration


class ShareEvent(Struct, frozen=True, tag_field="code"):
    """One line of ``--json``; its text is for people."""

    template: ClassVar[str] = ""

    def __str__(self) -> str:
        fields = {name: str(getattr(self, name)) for name in self.__struct_fields__}
        return self.template.format(**{name: escape_control(text) for name, text in fields.items()})


class ListeningStarted(ShareEvent, frozen=True, tag="listening"):
    """Other peers can reach us."""

    template = "listening on {host}:{port}"

    host: str
    port: int


class EarlierRunComplete(ShareEvent, frozen=True, tag="recovered"):
    """An earlier run has fetched all that these peers shared, and was killed."""

    peers: tuple[str, ...]

    def __str__(self) -> str:
        names = escape_control(", ".join(self.peers))
        return f"an earlier run has all files of {names}; they count for who does not come again"


class WaitingForPeers(ShareEvent, frozen=True, tag="awaiting"):
    """It is waited, `seconds` at most, for so many others, None for whoever comes."""

    peers: int | None
    seconds: float

    def __str__(self) -> str:
        others = "peer" if self.peers == 1 else "peers"
        whom = "others" if self.peers is None else f"{self.peers} other {others}"
        return f"waiting up to {format_duration(self.seconds)} for {whom}"


class PeerConnected(ShareEvent, frozen=True, tag="met"):
    """There is a connection to a peer of the group."""

    template = "peer {id} is here ({address})"

    id: str
    address: str


class AllPeersConnected(ShareEvent, frozen=True, tag="introduced"):
    """All peers that were expected have been met."""

    template = "all {peers} peers are here"

    peers: int


class PeerDisconnected(ShareEvent, frozen=True, tag="parted"):
    """The connection to a peer is gone."""

    template = "peer {id} {why}"

    id: str
    why: str


class PeerDropped(ShareEvent, frozen=True, tag="dropped"):
    """A peer is dealt with no more."""

    template = "peer {id} is dropped: it {why}"

    id: str
    why: str


class PeerUnreachable(ShareEvent, frozen=True, tag="out_of_reach"):
    """A peer is known of, and cannot be dialled."""

    template = "{who} cannot be reached from here at {address}: {why}; files only go directly"

    who: str
    address: str
    why: str


class ConnectionRejected(ShareEvent, frozen=True, tag="turned_away"):
    """Somebody dialled and was rejected."""

    template = "{address} was not let in: {why}"

    address: str
    why: str


class FilesSkipped(ShareEvent, frozen=True, tag="not_taken"):
    """The files of a peer are not fetched."""

    template = "the files of {owner} are not taken: {why}"

    owner: str
    why: str


class FilesRejected(ShareEvent, frozen=True, tag="declined"):
    """A peer does not fetch our files."""

    template = "peer {id} does not take our files: {why}"

    id: str
    why: str


class FileReceived(ShareEvent, frozen=True, tag="received"):
    """A file is whole, checked, and on disk."""

    template = "{path} ({size} bytes of {owner})"

    owner: str
    name: str
    path: str
    size: int


class FileNotSaved(ShareEvent, frozen=True, tag="not_kept"):
    """A file came whole and cannot be kept."""

    template = "{name} of {owner} cannot be kept: {why}"

    owner: str
    name: str
    why: str


class DownloadComplete(ShareEvent, frozen=True, tag="complete"):
    """Every file of every peer that was met is here."""

    template = "all is here after {seconds} s"

    seconds: float
