"""Peers: who shares files in a group, and where to reach them; the server only introduces."""

from typing import Annotated, Final, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from common.messages.base import SAFE, Message
from common.messages.basic import Ref

MAX_GROUP: Final = 64

Group: TypeAlias = Annotated[str, Meta(min_length=1, max_length=MAX_GROUP)]
"""Names a group (`check_group`)."""

PeerId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
"""Names a peer, and the files of others that come from it (`common.names.check_id`)."""

Port: TypeAlias = Annotated[int, Meta(ge=1, le=65535)]
Size: TypeAlias = Annotated[int, Meta(ge=0, le=SAFE)]
Digest: TypeAlias = Annotated[str, Meta(max_length=128)]


def check_group(text: str) -> str:
    """Return `text` if it can name a group; raises ValueError unless 1 to 64 printable characters.

    They are shown on terminals.
    """
    if not 1 <= len(text) <= MAX_GROUP or not text.isprintable():
        raise ValueError(
            f"the group {text!r} has a control character, or not 1 to {MAX_GROUP} characters"
        )
    return text


class Share(Message, frozen=True):
    """Enters a group for as long as the connection lasts, in place of where it was before.

    Others are told that `port` is listened on, at the address that the server sees. `size` (bytes)
    and `digest` are of all that is shared. With `ref` the answer is `peers`, with `presence` who
    comes and goes is told.
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
    """One entry of a group."""

    id: str
    host: str
    port: int
    size: int
    digest: str


class PeerList(Message, frozen=True, tag="peers", rename={"group_secret": "ticket"}):
    """Everyone in a group, in the order in which they came.

    `group_secret` is told to those who share in it: by that they recognise each other.
    """

    group: str
    peers: list[PeerEntry]
    group_secret: str | UnsetType = UNSET
    ref: Ref | UnsetType = UNSET


class PeerJoined(Message, frozen=True):
    """Somebody entered the group (only for those who asked for presence)."""

    group: str
    peer: PeerEntry


class PeerLeft(Message, frozen=True):
    """Somebody left the group (only for those who asked for presence)."""

    group: str
    id: str


FROM_CLIENT: Final = (Share, Peers)
FROM_SERVER: Final = (PeerList, PeerJoined, PeerLeft)
