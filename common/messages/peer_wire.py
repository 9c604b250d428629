"""The peer protocol: the messages between two peers of `chatctl share`, and no others.

The framing is that of the daemon (one JSON object a line) with one addition: raw bytes follow a
message that announces them in its field `size`. A piece is named by its owner and its number among
that owner's pieces (`common.manifest`).

- Handshake: `PeerHello`, `Challenge`, `PeerAuth`.
- Group: `PeerExchange`, `KeepAlive`, `Goodbye`.
- Manifests: `HasManifest`, `GetManifest`, `ManifestHeader`, `RejectFiles`.
- Announcements: `Bitfield`, `Have`, `DontHave`, `Status`.
- Requests: `RequestAny`, `RequestPiece`, `Cancel`. Each request gets one answer, `Piece` or
  `Reject`, even if it was cancelled.
"""

from typing import Annotated, Final, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from common.manifest import PIECE_SIZE
from common.messages.base import SAFE, Error, Message
from common.messages.groups import Digest, Group, PeerId, Port

VERSION: Final = 1

MAX_EXCHANGED: Final = 100
"""Peers in one `PeerExchange` at most; they fit in a line whatever they are called."""

MAX_HAVE: Final = 200
"""Pieces in one `Have` at most; they fit in a line whatever their owners are called."""
MAX_BITFIELD: Final = 4 * 2**10
"""Bytes in one `Bitfield` at most, so that handling it takes only some ms."""

_MAX_PIECES: Final = 2**31

Nonce: TypeAlias = Annotated[str, Meta(min_length=32, max_length=64)]
Proof: TypeAlias = Annotated[str, Meta(min_length=64, max_length=64)]
"""HMAC-SHA256 (RFC 2104) in hexadecimal."""

Index: TypeAlias = Annotated[int, Meta(ge=0, lt=_MAX_PIECES)]
"""The number of a piece among those of its owner, from 0."""


class PeerHello(Message, frozen=True):
    """The first message of the initiator, which dialled.

    `run` tells one run of the program from the next, `port` is where it listens, and `digest` is
    that of its manifest. `nonce` is never the same twice.
    """

    version: Annotated[int, Meta(ge=0)]
    group: Group
    id: PeerId
    run: Nonce
    port: Port
    digest: Digest
    nonce: Nonce


class Challenge(Message, frozen=True):
    """The answer of the responder; `proof` shows that it has the key of the group."""

    id: PeerId
    run: Nonce
    port: Port
    digest: Digest
    nonce: Nonce
    proof: Proof


class PeerAuth(Message, frozen=True, tag="admission"):
    """The initiator's proof that it has the key of the group as well; it ends the handshake."""

    proof: Proof


class PeerAddress(Struct, frozen=True, gc=False):
    """The address at which another peer of the group listens."""

    id: PeerId
    host: Annotated[str, Meta(min_length=1, max_length=255)]
    port: Port


class PeerExchange(Message, frozen=True, tag="acquaintances"):
    """Peers that the sender is connected to (as in BEP 11), so that all find each other."""

    peers: Annotated[list[PeerAddress], Meta(max_length=MAX_EXCHANGED)]


class KeepAlive(Message, frozen=True, tag="alive"):
    """The sender is alive and has nothing else to send."""


class Goodbye(Message, frozen=True, tag="farewell"):
    """The sender leaves, or answers a goodbye; its highest rates, in bytes of pieces a second."""

    upload_rate: Annotated[float, Meta(ge=0, le=1e15)]
    download_rate: Annotated[float, Meta(ge=0, le=1e15)]


class HasManifest(Message, frozen=True, tag="knows"):
    """The sender has the manifest of `owner`, with this digest.

    Both sides send it; only once their digests agree may a message name a piece of that owner.
    """

    owner: PeerId
    digest: Digest


class GetManifest(Message, frozen=True, tag="describe"):
    """Requests the manifest of `owner`, at most once, from a peer that has it."""

    owner: PeerId


class ManifestHeader(Message, frozen=True, tag="description"):
    """The manifest of `owner`: `size` raw bytes follow (`common.manifest`)."""

    owner: PeerId
    size: Annotated[int, Meta(ge=0, le=SAFE)]


class RejectFiles(Message, frozen=True, tag="decline"):
    """The sender will not fetch the files of the receiver; `why` is for people."""

    why: Annotated[str, Meta(max_length=1000)]


class Bitfield(Message, frozen=True, tag="holding"):
    """Pieces of `owner` that the sender has, from number `first` on (a multiple of 8).

    One bit each, as in `common.manifest.decode_bits`; bits left out at the end are 0. An owner
    sends none for its own pieces, all of which it has.
    """

    owner: PeerId
    first: Annotated[int, Meta(ge=0, lt=_MAX_PIECES, multiple_of=8)]
    bits: Annotated[bytes, Meta(max_length=MAX_BITFIELD)]


class Have(Message, frozen=True):
    """More pieces that the sender has, by owner; at most 200 in all."""

    pieces: dict[PeerId, Annotated[list[Index], Meta(max_length=MAX_HAVE)]]


class DontHave(Message, frozen=True, tag="lost"):
    """A piece that the sender no longer has; a receiver that has it answers with `Have`."""

    owner: PeerId
    index: Index


class Status(
    Message,
    frozen=True,
    tag="state",
    rename={"unsent_own": "fresh", "upload_backlog": "backlog"},
):
    """The status of the sender, sent along with other messages.

    `got` counts the pieces received on this connection: an acknowledgement. `upload_backlog` is how
    long (s) the sender will be uploading what was requested from it. `unsent_own` is true while it
    has own pieces that it never sent, `complete` while it lacks nothing.
    """

    got: Annotated[int, Meta(ge=0, le=SAFE)]
    upload_backlog: Annotated[float, Meta(ge=0, le=1e9)]
    unsent_own: bool
    complete: bool


class RequestAny(Message, frozen=True, tag="new"):
    """Requests one of the receiver's own pieces that it never sent; the receiver chooses which."""


class RequestPiece(Message, frozen=True, tag="get"):
    """Requests a piece."""

    owner: PeerId
    index: Index


class Cancel(Message, frozen=True):
    """Cancels a `RequestPiece`; the answer is `Reject`, or the piece if that was already sent."""

    owner: PeerId
    index: Index


class Piece(Message, frozen=True):
    """The answer to a request: `size` raw bytes follow."""

    owner: PeerId
    index: Index
    size: Annotated[int, Meta(ge=1, le=PIECE_SIZE)]


class Reject(Message, frozen=True, tag="none"):
    """The answer to a `RequestPiece` that fails, or to a `RequestAny` when it names no piece."""

    owner: PeerId | UnsetType = UNSET
    index: Index | UnsetType = UNSET


CONTROL_MESSAGES: Final = (
    PeerHello,
    Challenge,
    PeerAuth,
    GetManifest,
    ManifestHeader,
    RejectFiles,
    PeerExchange,
    KeepAlive,
    Goodbye,
    Error,
)

PIECE_MESSAGES: Final = (
    HasManifest,
    Bitfield,
    Have,
    DontHave,
    Status,
    RequestAny,
    RequestPiece,
    Cancel,
    Piece,
    Reject,
)
