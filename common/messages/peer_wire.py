"""What two peers say before and beside the pieces: who they are, what they have, whom they know.

The framing is that of the daemon, with one addition: raw bytes follow a header that has a `size`.


What connected peers say about pieces: who has which, who wants which, and the pieces themselves.

A piece is named by its owner and its number among that owner's pieces (`common.manifest`). Every
`new` and `get` has one answer, a `piece` or a `none`, also when it was cancelled.

"""

from typing import Annotated, Final, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from common.manifest import PIECE_SIZE
from common.messages.base import SAFE, Error, Message
from common.messages.groups import Digest, Group, PeerId, Port

VERSION: Final = 1

MAX_EXCHANGED: Final = 100
"""Peers that are named at once; they fit in a line whatever they are called."""

Nonce: TypeAlias = Annotated[str, Meta(min_length=32, max_length=64)]
Proof: TypeAlias = Annotated[str, Meta(min_length=64, max_length=64)]
"""HMAC-SHA256 (RFC 2104) in hexadecimal."""


class PeerHello(Message, frozen=True):
    """The first message of who dials.

    `run` tells one run of a program from the next, `port` is where it listens, `digest` is of its
    manifest. `nonce` is never the same twice.
    """

    version: Annotated[int, Meta(ge=0)]
    group: Group
    id: PeerId
    run: Nonce
    port: Port
    digest: Digest
    nonce: Nonce


class Challenge(Message, frozen=True):
    """The answer of who listens; `proof` shows that it has the secret of the group."""

    id: PeerId
    run: Nonce
    port: Port
    digest: Digest
    nonce: Nonce
    proof: Proof


class PeerAuth(Message, frozen=True, tag="admission"):
    """Shows that who dialled has the secret, too; from here on both are served."""

    proof: Proof


class GetManifest(Message, frozen=True, tag="describe"):
    """Asks for the manifest of `owner`; to be asked once of one who says it knows it."""

    owner: PeerId


class ManifestHeader(Message, frozen=True, tag="description"):
    """The manifest of `owner`: `size` raw bytes follow (`common.manifest`)."""

    owner: PeerId
    size: Annotated[int, Meta(ge=0, le=SAFE)]


class RejectFiles(Message, frozen=True, tag="decline"):
    """The sender will not take the files of the reader; `why` is for people."""

    why: Annotated[str, Meta(max_length=1000)]


class PeerAddress(Struct, frozen=True, gc=False):
    """Where another peer of the group listens."""

    id: PeerId
    host: Annotated[str, Meta(min_length=1, max_length=255)]
    port: Port


class PeerExchange(Message, frozen=True, tag="acquaintances"):
    """Peers that the sender is connected to, so that everyone finds everyone without a server."""

    peers: Annotated[list[PeerAddress], Meta(max_length=MAX_EXCHANGED)]


class KeepAlive(Message, frozen=True, tag="alive"):
    """Nothing to say, but still here."""


class Goodbye(Message, frozen=True, tag="farewell"):
    """The sender, or the reader, leaves: at best so many bytes of pieces a second went each way."""

    upload_rate: Annotated[float, Meta(ge=0, le=1e15)]
    download_rate: Annotated[float, Meta(ge=0, le=1e15)]


HANDSHAKE_MESSAGES: Final = (
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


MAX_HAVE: Final = 200
"""Pieces that one `have` names at most; they fit in a line whatever their owners are called."""
MAX_BITFIELD: Final = 4 * 2**10
"""Bytes of a bitfield that one `holding` carries at most: to read them takes some ms, not more."""

_MAX_PIECES: Final = 2**31

Index: TypeAlias = Annotated[int, Meta(ge=0, lt=_MAX_PIECES)]
"""Number of a piece among those of its owner, from 0."""


class HasManifest(Message, frozen=True, tag="knows"):
    """The sender has the manifest of `owner`, by this digest.

    Of an owner whom not both sides know by the same digest nothing else is said.
    """

    owner: PeerId
    digest: Digest


class Bitfield(Message, frozen=True, tag="holding"):
    """Pieces of `owner` that the sender has, from number `first` on (a multiple of 8).

    One bit each, as in `common.manifest.decode_bits`; what is left out at the end it has not. An
    owner has all of its own, and says nothing.
    """

    owner: PeerId
    first: Annotated[int, Meta(ge=0, lt=_MAX_PIECES, multiple_of=8)]
    bits: Annotated[bytes, Meta(max_length=MAX_BITFIELD)]


class Have(Message, frozen=True):
    """Further pieces that the sender has, by their owners; at most 200 together."""

    pieces: dict[PeerId, Annotated[list[Index], Meta(max_length=MAX_HAVE)]]


class DontHave(Message, frozen=True, tag="lost"):
    """A piece that the sender has no more; whoever has it says so with `have`."""

    owner: PeerId
    index: Index


class Status(
    Message,
    frozen=True,
    tag="state",
    rename={"unsent_own": "fresh", "upload_backlog": "backlog"},
):
    """How the sender fares, told when it speaks anyhow.

    `got` counts the pieces that came from the reader on this connection, so that the reader knows
    what is still on its way. `upload_backlog` is how long (s) the sender will be uploading what was
    asked of it. `unsent_own` while it has pieces of its own that it never sent; `complete` while it
    lacks nothing.
    """

    got: Annotated[int, Meta(ge=0, le=SAFE)]
    upload_backlog: Annotated[float, Meta(ge=0, le=1e9)]
    unsent_own: bool
    complete: bool


class RequestAny(Message, frozen=True, tag="new"):
    """Asks for a piece of the reader's own that it never sent; the reader chooses which."""


class RequestPiece(Message, frozen=True, tag="get"):
    """Asks for a piece."""

    owner: PeerId
    index: Index


class Cancel(Message, frozen=True):
    """Takes back a `get`; the answer is `none`, or the piece if that had already left."""

    owner: PeerId
    index: Index


class Piece(Message, frozen=True):
    """Answers a request: `size` raw bytes follow."""

    owner: PeerId
    index: Index
    size: Annotated[int, Meta(ge=1, le=PIECE_SIZE)]


class Reject(Message, frozen=True, tag="none"):
    """Answers a `get` in vain, or a `new` when it names no piece."""

    owner: PeerId | UnsetType = UNSET
    index: Index | UnsetType = UNSET


SWARM_MESSAGES: Final = (
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
