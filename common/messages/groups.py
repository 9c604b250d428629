"""Groups of `chatctl share`: join one, and learn which peers are in it and where they listen.

The server is the tracker of a swarm: it introduces the peers, and no file passes through it.
"""

from typing import Annotated, Final, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from common.messages.base import SAFE, Message
from common.messages.basic import Ref

MAX_GROUP: Final = 64

Group: TypeAlias = Annotated[str, Meta(min_length=1, max_length=MAX_GROUP)]
"""The name of a group (`check_group`)."""

PeerId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
"""The id of a peer, with which the files from it are named (`common.names.check_id`)."""

Port: TypeAlias = Annotated[int, Meta(ge=1, le=65535)]
Size: TypeAlias = Annotated[int, Meta(ge=0, le=SAFE)]
Digest: TypeAlias = Annotated[str, Meta(max_length=128)]


def check_group(text: str) -> str:
    """Return `text` if it is a valid group name: 1 to 64 characters, printable on a terminal.

    Raises ValueError.
    """
    if not 1 <= len(text) <= MAX_GROUP or not text.isprintable():
        raise ValueError(
            f"the group {text!r} is not 1 to {MAX_GROUP} characters, or contains control characters"
        )
    return text


class Share(Message, frozen=True):
    """Joins a group for as long as the connection lasts, and leaves the one joined before.

    Others learn that this peer listens on `port` at the address that the server sees. `size`
    (bytes) and `digest` describe everything it shares. With `ref` the answer is `peers`; with
    `presence` the server reports who joins and leaves.
    """

    group: Group
    id: PeerId
    port: Port
    size: Size
    digest: Digest
    presence: bool = False
    ref: Ref | UnsetType = UNSET


class Peers(Message, frozen=True):
    """Asks who is in a group."""

    group: Group
    ref: Ref | UnsetType = UNSET


class PeerEntry(Struct, frozen=True, gc=False):
    """One peer of a group."""

    id: str
    host: str
    port: int
    size: int
    digest: str


class PeerList(Message, frozen=True, tag="peers", rename={"group_secret": "ticket"}):
    """All peers of a group, in the order in which they joined.

    Only members get the `group_secret`, with which they authenticate each other.
    """

    group: str
    peers: list[PeerEntry]
    group_secret: str | UnsetType = UNSET
    ref: Ref | UnsetType = UNSET


class PeerJoined(Message, frozen=True):
    """A peer joined the group (sent only to members that asked for presence)."""

    group: str
    peer: PeerEntry


class PeerLeft(Message, frozen=True):
    """A peer left the group (sent only to members that asked for presence)."""

    group: str
    id: str


FROM_CLIENT: Final = (Share, Peers)
FROM_SERVER: Final = (PeerList, PeerJoined, PeerLeft)
