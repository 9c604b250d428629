"""What the planner has its shell do, and the fault it finds with a peer."""

from typing import NamedTuple, TypeAlias

from common.messages.base import Message


class ProtocolViolationError(Exception):
    """A peer said what no peer says that keeps to the protocol; its text says what. Drop it."""


class Send(NamedTuple):
    """Send `message` to `peer_id`: pieces in the order of the actions, all else in that order, too.

    But nothing else need wait for pieces. A `Piece` is followed by its bytes, which the shell
    reads; where it cannot, it sends nothing and calls `Planner.unreadable`. What has been taken
    counts as on its way: it is never taken back.
    """

    peer_id: str
    message: Message


class FetchManifest(NamedTuple):
    """`peer_id` knows the manifest of `owner` with this digest, and this side does not.

    Once the shell has got that manifest, from this peer or anyone, it calls `Planner.know`.
    """

    peer_id: str
    owner: str
    digest: str


class Drop(NamedTuple):
    """Close the connection to `peer_id` and call `Planner.leave`; `why` is for people."""

    peer_id: str
    why: str


Action: TypeAlias = Send | FetchManifest | Drop
