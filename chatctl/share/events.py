"""The events of a share, as lines of JSON for programs and as sentences for people."""

from typing import ClassVar

from msgspec import Struct

from common.protocol.text_format import escape_control
from common.values import format_duration


class ShareEvent(Struct, frozen=True, tag_field="code"):
    """One line of ``--json``; `str` gives the sentence for people, from `template`."""

    template: ClassVar[str] = ""

    def __str__(self) -> str:
        fields = {name: str(getattr(self, name)) for name in self.__struct_fields__}
        return self.template.format(**{name: escape_control(text) for name, text in fields.items()})


class ListeningStarted(ShareEvent, frozen=True, tag="listening"):
    """Other peers can connect."""

    template = "listening on {host}:{port}"

    host: str
    port: int


class EarlierRunComplete(ShareEvent, frozen=True, tag="recovered"):
    """An earlier run received all files of these peers, and was killed before it ended."""

    peers: tuple[str, ...]

    def __str__(self) -> str:
        names = escape_control(", ".join(self.peers))
        return f"an earlier run received all files of {names}, which need not connect again"


class WaitingForPeers(ShareEvent, frozen=True, tag="awaiting"):
    """The peer waits up to `seconds` for so many others; `peers` is None for any number."""

    peers: int | None
    seconds: float

    def __str__(self) -> str:
        others = "peer" if self.peers == 1 else "peers"
        count = "" if self.peers is None else f"{self.peers} "
        return f"waiting up to {format_duration(self.seconds)} for {count}other {others}"


class PeerConnected(ShareEvent, frozen=True, tag="met"):
    """A peer of the group is connected."""

    template = "peer {id} connected ({address})"

    id: str
    address: str


class AllPeersConnected(ShareEvent, frozen=True, tag="introduced"):
    """All expected peers have connected; `peers` counts this one as well."""

    peers: int

    def __str__(self) -> str:
        return "both peers are here" if self.peers == 2 else f"all {self.peers} peers are here"


class PeerDisconnected(ShareEvent, frozen=True, tag="parted"):
    """A peer left, or its connection was lost."""

    template = "peer {id} {why}"

    id: str
    why: str


class PeerDropped(ShareEvent, frozen=True, tag="dropped"):
    """A peer violated the protocol; this run of it is banned."""

    template = "dropped peer {id}: it {why}"

    id: str
    why: str


class PeerUnreachable(ShareEvent, frozen=True, tag="out_of_reach"):
    """Dialling a peer failed."""

    template = "cannot connect to {who} at {address}: {why} (files go directly between peers)"

    who: str
    address: str
    why: str


class ConnectionRejected(ShareEvent, frozen=True, tag="turned_away"):
    """A caller was rejected in the handshake."""

    template = "rejected a connection from {address}: {why}"

    address: str
    why: str


class FilesSkipped(ShareEvent, frozen=True, tag="not_taken"):
    """The files of an owner are not fetched."""

    template = "skipping the files of {owner}: {why}"

    owner: str
    why: str


class FilesRejected(ShareEvent, frozen=True, tag="declined"):
    """Another peer does not fetch our files."""

    template = "peer {id} rejected our files: {why}"

    id: str
    why: str


class FileReceived(ShareEvent, frozen=True, tag="received"):
    """A file is complete, verified, and on disk."""

    template = "received {path} ({size} bytes from {owner})"

    owner: str
    name: str
    path: str
    size: int


class FileNotSaved(ShareEvent, frozen=True, tag="not_kept"):
    """All pieces of a file were received, but it cannot be saved."""

    template = "cannot save {name} of {owner}: {why}"

    owner: str
    name: str
    why: str


class DownloadComplete(ShareEvent, frozen=True, tag="complete"):
    """All files of all peers that came are here."""

    seconds: float

    def __str__(self) -> str:
        return f"everything received after {format_elapsed(self.seconds)}"


def format_elapsed(seconds: float) -> str:
    """Write a measured time, for people: ``2.02 s``, or ``1.5h`` from a minute on."""
    return f"{seconds:.3g} s" if seconds < 60 else format_duration(seconds)
