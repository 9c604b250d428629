"""The output of the planner: actions that its caller carries out, and answers to its questions."""

from typing import NamedTuple, TypeAlias

from msgspec import Struct

from common.messages.base import Message


class Send(NamedTuple):
    """Send `message` to `peer_id`.

    Pieces keep the order of the actions, and so do all other messages; but no other message needs
    to wait for a piece. The caller reads the bytes that follow a `Piece`. Where it cannot, it sends
    nothing and calls `Planner.piece_unreadable`. A piece that was taken counts as in flight: the
    planner never takes it back.
    """

    peer_id: str
    message: Message


class FetchManifest(NamedTuple):
    """Fetch the manifest of `owner`: `peer_id` has the one with this digest.

    Once the caller has got that manifest, from this peer or any other, it calls
    `Planner.add_owner`.
    """

    peer_id: str
    owner: str
    digest: str


class Drop(NamedTuple):
    """Close the connection to `peer_id` and call `Planner.remove_peer`; `why` is for people."""

    peer_id: str
    why: str


Action: TypeAlias = Send | FetchManifest | Drop


class ProtocolViolationError(Exception):
    """A peer violated the protocol; the text says how. The caller drops the peer."""


class DownloadStatus(NamedTuple):
    """How many of an owner's `total` pieces are held."""

    held: int
    total: int


class MissingPiece(Struct, frozen=True):
    """A piece that is not held, and the connected peers that have it; maybe none has."""

    owner: str
    index: int
    holders: tuple[str, ...]
