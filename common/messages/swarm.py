"""What connected peers say about pieces: who has which, who wants which, and the pieces themselves.

A piece is named by its owner and its number among that owner's pieces (`common.pieces`). Every
`new` and `get` has one answer, a `piece` or a `none`, also when it was cancelled.
"""

from typing import Annotated, Final, TypeAlias

from msgspec import UNSET, Meta, UnsetType

from common.messages.base import SAFE, Message
from common.messages.peers import Digest, PeerId
from common.pieces import PIECE_SIZE

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

    One bit each, as in `common.pieces.decode_bits`; what is left out at the end it has not. An
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
