"""What two peers say before and beside the pieces: who they are, what they have, whom they know.

The framing is that of the daemon, with one addition: raw bytes follow a header that has a `size`.
"""

from typing import Annotated, Final, TypeAlias

from msgspec import Meta, Struct

from common.messages.base import SAFE, Error, Message
from common.messages.peers import Digest, Group, PeerId, Port

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
    """The manifest of `owner`: `size` raw bytes follow (`common.pieces`)."""

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
