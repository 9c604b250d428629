"""Chat: hello, presence, messages to one or to all, history, resuming after a lost connection."""

from typing import Annotated, Final, Literal, TypeAlias

from msgspec import UNSET, Meta, UnsetType, field

from common.messages.base import Message
from common.messages.basic import Ref

Id: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Token: TypeAlias = Annotated[str, Meta(min_length=16, max_length=128)]
LogName: TypeAlias = Annotated[str, Meta(max_length=64)]

VERSION: Final = 1


class Hello(Message, frozen=True):
    """Registers a name. Without further fields it selects the original protocol.

    `version` 1 adds ids, acknowledgements and a token. `token` reclaims the name. `after` asks for
    every message since that id in the log named `log`; if the server has another log by now, for
    every message that the two do not share. `presence` asks for `joined` and `left`, `format` for
    plain text.
    """

    name: str | UnsetType = UNSET
    version: Annotated[int, Meta(ge=0)] = 0
    token: Token | UnsetType = UNSET
    after: Id | UnsetType = UNSET
    presence: bool = False
    format: Literal["json", "text"] = "json"
    log: LogName | UnsetType = UNSET


class Who(Message, frozen=True):
    """Asks for the names of the users who are present."""

    ref: Ref | UnsetType = UNSET


class Outgoing(Message, frozen=True):
    """A message to one user; with a `ref` it is acknowledged once it is in the log."""

    to: str
    content: str
    ref: Ref | UnsetType = UNSET


class OutgoingBroadcast(Message, frozen=True):
    """A message to everyone else; with a `ref` it is acknowledged once it is in the log."""

    content: str
    ref: Ref | UnsetType = UNSET


class History(Message, frozen=True):
    """Asks for the newest `limit` messages (1 to 1000) whose id is below `before`.

    With a `name` and its `token` it is the history of that name, whoever uses the name now.
    """

    before: Id | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=1000)] = 50
    ref: Ref | UnsetType = UNSET
    name: str | UnsetType = UNSET
    token: Token | UnsetType = UNSET


class Quit(Message, frozen=True):
    """Ends the session; the server sends what is queued and closes the connection."""


class Welcome(Message, frozen=True):
    """Answers a hello: the name is registered. All fields but `code` are for version 1.

    `last` is the newest id in the log, and `log` names that log: ids of another log mean nothing
    here. If the `after` of the hello was such an id, this `after` replaces it: up to here both logs
    are the same, and the replay begins after it. `max_line` is in bytes. `max_inflight` is how many
    messages with a `ref` may be unacknowledged; beyond that the server stops reading.
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
    """The names of the users who are present, in the order in which they joined."""

    users: list[str]
    ref: Ref | UnsetType = UNSET


class _Delivery(Message, frozen=True):
    """A message from `author`. The fields after `content` are for version 1.

    `id` is its position in the log and `sent` when the server accepted it (UTC). `since` counts the
    whole seconds (s) from the author's connect to that moment.
    """

    author: str = field(name="from")
    content: str
    id: int | UnsetType = UNSET
    sent: str | UnsetType = UNSET
    since: int | UnsetType = UNSET
    ref: Ref | UnsetType = UNSET


class Incoming(_Delivery, frozen=True):
    """A message to one user; `to` is set only in history, which includes one's own messages."""

    to: str | UnsetType = UNSET


class IncomingBroadcast(_Delivery, frozen=True):
    """A message to everyone except its author."""


class Ack(Message, frozen=True):
    """The message with this `ref` is in the log as `id`; a `duplicate` was there before."""

    ref: Ref
    id: int
    duplicate: bool | UnsetType = UNSET


class Gap(Message, frozen=True):
    """The log no longer has all missed messages: the replay continues at `first`."""

    first: int


class Resumed(Message, frozen=True):
    """The replay is complete: `count` messages up to `last`.

    With a `gap`, the messages before `first` are no longer in the log.
    """

    count: int
    last: int
    gap: bool
    first: int | UnsetType = UNSET


class HistoryPage(Message, frozen=True, tag="history"):
    """A page of history, oldest first; `more` says whether there are older messages."""

    messages: list[Incoming | IncomingBroadcast]
    more: bool
    ref: Ref | UnsetType = UNSET


class Joined(Message, frozen=True):
    """A user joined; only for sessions that asked for presence."""

    name: str


class Left(Message, frozen=True):
    """A user left; only for sessions that asked for presence."""

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
