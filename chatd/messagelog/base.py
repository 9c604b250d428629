"""The message log and the name store: the interfaces of everything that must survive.

A message is appended first. It is delivered when the log reports that it is committed, in the order
of the commits. There is no other way to a recipient.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain, count
from typing import Final, Generic, Literal, Protocol, TypeAlias, TypeVar

from msgspec import Struct

Sender = TypeVar("Sender")
"""Whoever appends a message. The log returns it untouched with the result."""


class Everyone(Struct, frozen=True, gc=False):
    """The audience of a broadcast: every reader. Use the shared object `EVERYONE`."""


class Identity(Struct, frozen=True, gc=False):
    """The audience of a direct message: the one reader with this identity."""

    id: int


EVERYONE: Final = Everyone()

Audience: TypeAlias = Everyone | Identity
"""Whom a message is for. A channel will be a third kind."""


class NewMessage(Struct, frozen=True, gc=False):
    """A message before it has an id in the log.

    `author` is an identity, `name` its name when it sent the message. `to` is the recipient's name
    at that time, in a direct message. `sent_ns` is in ns since the Unix epoch, `since` in whole
    seconds from the author's connect. `anonymous` authors never chose a name.
    """

    author: int
    name: str
    content: str
    sent_ns: int
    since: int
    audience: Audience = EVERYONE
    to: str | None = None
    ref: str | None = None
    anonymous: bool = False

    def visible_to(self, reader: int) -> bool:
        """Whether `reader` may ever see it: it is for everyone, by them or for them."""
        audience = self.audience
        return isinstance(audience, Everyone) or reader in (audience.id, self.author)

    def delivered_to(self, reader: int) -> bool:
        """Whether it is delivered to `reader`: it is for them, or for everyone and by another."""
        audience = self.audience
        return reader != self.author if isinstance(audience, Everyone) else reader == audience.id


class Entry(Struct, frozen=True, gc=False):
    """A message in the log; `id` counts from 1 and only grows."""

    id: int
    message: NewMessage


class AppendResult(Struct, Generic[Sender], frozen=True, gc=False):
    """The result of one or more messages that one sender appended together.

    `entries` hold their ids; a duplicate has the id of the first. Failed ones are not in the log;
    `error` says why, and their ids are 0. A message without a `sender` was appended by nobody on
    this node.
    """

    kind: Literal["stored", "duplicate", "failed"]
    entries: Sequence[Entry]
    sender: Sender | None
    error: str = ""


Appended: TypeAlias = Sequence[tuple[Sequence[NewMessage], Sender | None]]
"""Messages in the order in which they were appended, and who appended them on this node."""


def assign_ids(appended: Appended[Sender], last: int) -> list[Entry]:
    """Return the messages with the ids that follow `last`."""
    return [*map(Entry, count(last + 1), chain.from_iterable(messages for messages, _ in appended))]


def as_results(appended: Appended[Sender], entries: Sequence[Entry]) -> list[AppendResult[Sender]]:
    """Return the results of messages that are stored as `entries`."""
    results: list[AppendResult[Sender]] = []  # to write list[...]() would cost a microsecond
    end = 0
    for messages, sender in appended:
        start, end = end, end + len(messages)
        results.append(AppendResult("stored", entries[start:end], sender))
    return results


class LogMetrics(Struct):
    """Counters of what a log has stored; they only grow. A log counts once for each batch."""

    commits: int = 0
    """Batches in which the log stored messages."""
    messages_committed: int = 0
    """Messages that the log has stored."""
    messages_failed: int = 0
    """Messages that the log could not store."""


OnCommitted: TypeAlias = Callable[[Sequence[AppendResult[Sender]]], None]
"""Called with each batch of results, in log order, on the loop's thread."""


class Page(Struct, frozen=True, gc=False):
    """A part of a replay: what the reader should have seen of the ids up to `position`."""

    entries: list[Entry]
    position: int


class HistorySlice(Struct, frozen=True, gc=False):
    """A part of the history, oldest first; `more` when there is something older."""

    entries: list[Entry]
    more: bool


class UnusableLogError(Exception):
    """The log cannot be opened; the text says why and what to do."""


class StorageError(Exception):
    """Something cannot be read or stored now; the text says why. It may work later."""


class MessageLog(Protocol[Sender]):
    """Keeps messages in one order.

    `name` is random and changes when ids may be given again to other messages; `earlier_epochs`
    has, for each earlier name, the newest id that means the same in both. `first` is the oldest id
    that is kept (`last` + 1 when there is none), `last` the newest reported. What is awaited may
    raise StorageError.
    """

    @property
    def name(self) -> str:
        """Which log it is."""

    @property
    def earlier_epochs(self) -> Mapping[str, int]:
        """The newest common id by the name of each log that this one continues."""

    @property
    def first(self) -> int:
        """The oldest id that is kept."""

    @property
    def last(self) -> int:
        """The newest id that was reported."""

    async def open(self, on_committed: OnCommitted[Sender]) -> None:
        """Make ready; results go to `on_committed` from now on."""

    def append(self, messages: Sequence[NewMessage], sender: Sender | None) -> None:
        """Take messages; their results come later. The same author and `ref` are stored once."""

    async def replay(self, reader: int, after: int, through: int) -> Page:
        """Return what was delivered to `reader` in after < id <= through, or its first part."""

    async def history(self, reader: int, before: int, limit: int) -> HistorySlice:
        """Return the newest `limit` entries visible to `reader` with id < before."""

    async def flush(self) -> None:
        """Return when everything appended so far is committed and reported."""

    async def close(self) -> None:
        """Flush and release all resources; closing again does nothing."""


class NameOwner(Struct, frozen=True, gc=False):
    """Who may use a name: the identity, the SHA-256 of its token, and when it was last online.

    `key` is the canonical name (`common.names.fold`), `seen_ns` ns since the Unix epoch.
    """

    key: str
    identity: int
    token_hash: bytes
    seen_ns: int

    def is_same(self, other: "NameOwner | None") -> bool:
        """Whether `other` is this owner with this token, whenever it was last online."""
        own = (self.key, self.identity, self.token_hash)
        return other is not None and own == (other.key, other.identity, other.token_hash)


class NameStore(Protocol):
    """Keeps the owners of names. What is awaited may raise StorageError."""

    async def owner(self, key: str) -> NameOwner | None:
        """Return who owns the name with this key."""

    async def claim(self, owner: NameOwner, replacing: NameOwner | None) -> bool:
        """Give the name to `owner` if `replacing` still owns it; return whether it did.

        Of several who saw a name free, or saw it with the same owner, one gets it. When that owner
        was last online does not matter.
        """

    def record_seen(self, key: str, identity: int, seen_ns: int) -> None:
        """Note that the owner was online; if another owns the name by now, do nothing."""


DAY_NS: Final = 86_400 * 10**9
"""A day in ns."""


class Retention(Struct, frozen=True):
    """The newest messages are kept, as far as each limit allows; 0 is no limit.

    `age_ns` counts in ns from when a message was sent, `bytes` what all that is kept takes in the
    database. The write-ahead log and space left free by what was trimmed are not in it.
    """

    messages: int = 0
    age_ns: int = 0
    bytes: int = 0
