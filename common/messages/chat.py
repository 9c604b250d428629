"""Chat: who is here, one to one, one to all, and the way back after a lost connection."""

from typing import Annotated, Final, Literal, TypeAlias

from msgspec import UNSET, Meta, UnsetType, field

from common.messages.base import Message
from common.messages.basic import Ref

Id: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Token: TypeAlias = Annotated[str, Meta(min_length=16, max_length=128)]
LogName: TypeAlias = Annotated[str, Meta(max_length=64)]

VERSION: Final = 1


class Hello(Message, frozen=True):
    """Takes a name. Bare, it gets the original protocol; each further field asks for more.

    `version` 1 adds ids, acknowledgements and a token; `token` reclaims the name; `after` asks for
    every message since that id of the log named `log`, and where the log is another one by now for
    all that is not common to both; `presence` for `joined` and `left`; `format` turns to plain
    text.
    """

    name: str | UnsetType = UNSET
    version: Annotated[int, Meta(ge=0)] = 0
    token: Token | UnsetType = UNSET
    after: Id | UnsetType = UNSET
    presence: bool = False
    format: Literal["json", "text"] = "json"
    log: LogName | UnsetType = UNSET


class Who(Message, frozen=True):
    """Asks for the names of those present."""

    ref: Ref | UnsetType = UNSET


class Outgoing(Message, frozen=True):
    """A message for one; with `ref` it is acknowledged once it is in the log."""

    to: str
    content: str
    ref: Ref | UnsetType = UNSET


class OutgoingBroadcast(Message, frozen=True):
    """A message for everyone else; with `ref` it is acknowledged once it is in the log."""

    content: str
    ref: Ref | UnsetType = UNSET


class History(Message, frozen=True):
    """Asks for the newest `limit` messages (1 to 1000) whose id is below `before`.

    With the `name` and `token` of somebody it is their history, whoever has the name right now.
    """

    before: Id | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=1000)] = 50
    ref: Ref | UnsetType = UNSET
    name: str | UnsetType = UNSET
    token: Token | UnsetType = UNSET


class Quit(Message, frozen=True):
    """Says goodbye; the server sends what is still to be sent and closes."""


class Welcome(Message, frozen=True):
    """The name is yours. All fields but `code` are for version 1.

    `last` is the newest id in the log, and `log` names that log: ids of another one mean nothing
    here. `after` is there when the `after` of the hello was such an id: what follows begins behind
    this one instead, up to which both logs are the same. `max_line` is in bytes; `max_inflight`
    counts messages with a `ref` that may be unacknowledged at once, beyond which the server stops
    reading.
    """

    version: int | UnsetType = UNSET
    server: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    token: str | UnsetType = UNSET
    log: str | UnsetType = UNSET
    last: int | UnsetType = UNSET
    after: int | UnsetType = UNSET
    max_line: int | UnsetType = UNSET
    max_inflight: int | UnsetType = UNSET


class Users(Message, frozen=True):
    """The names of those present, in the order in which they came."""

    users: list[str]
    ref: Ref | UnsetType = UNSET


class _Delivery(Message, frozen=True):
    """A message from `author`. All further fields are for version 1.

    `id` is its position in the log, `sent` when the server took it (UTC), `since` the whole
    seconds (s) from its author's connect to then.
    """

    author: str = field(name="from")
    content: str
    id: int | UnsetType = UNSET
    sent: str | UnsetType = UNSET
    since: int | UnsetType = UNSET
    ref: Ref | UnsetType = UNSET


class Incoming(_Delivery, frozen=True):
    """A message for one; `to` stands only in history, where one's own are shown too."""

    to: str | UnsetType = UNSET


class IncomingBroadcast(_Delivery, frozen=True):
    """A message for everyone but its author."""


class Ack(Message, frozen=True):
    """The message with this `ref` is in the log as `id`; `duplicate` when it was there before."""

    ref: Ref
    id: int
    duplicate: bool | UnsetType = UNSET


class Gap(Message, frozen=True):
    """Some of what was missed is not kept: what follows in the replay begins at `first`."""

    first: int


class Resumed(Message, frozen=True):
    """The replay is over: `count` messages up to `last`; with `gap` all before `first` are gone."""

    count: int
    last: int
    gap: bool
    first: int | UnsetType = UNSET


class HistoryPage(Message, frozen=True, tag="history"):
    """A page of history, oldest first; `more` says whether there are older ones."""

    messages: list[Incoming | IncomingBroadcast]
    more: bool
    ref: Ref | UnsetType = UNSET


class Joined(Message, frozen=True):
    """Somebody came (only for those who asked for presence)."""

    name: str


class Left(Message, frozen=True):
    """Somebody went (only for those who asked for presence)."""

    name: str


FROM_CLIENT: Final = (Hello, Who, Outgoing, OutgoingBroadcast, History, Quit)
FROM_SERVER: Final = (
    Welcome,
    Users,
    Incoming,
    IncomingBroadcast,
    Ack,
    Gap,
    Resumed,
    HistoryPage,
    Joined,
    Left,
)
