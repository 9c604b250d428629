"""The log port: what every place that keeps messages must do.

A message is appended first and delivered when the log says that it is committed, in the order in
which it was committed. There is no other way to a recipient.


How much of the log is kept.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain, count
from typing import Final, Generic, Literal, Protocol, TypeAlias, TypeVar

from msgspec import Struct

Sender = TypeVar("Sender")
"""Whoever appended; comes back untouched with the result."""


class NewMessage(Struct, frozen=True, gc=False):
    """A message before it has a place in the log.

    `author` and `recipient` are identities, `name` and `to` what these were called at the time;
    without a recipient it is for everyone. `sent_ns` is in ns since the Unix epoch, `since` in
    whole seconds from the author's connect. `anonymous` authors never chose a name.
    """

    author: int
    name: str
    content: str
    sent_ns: int
    since: int
    recipient: int | None = None
    to: str | None = None
    ref: str | None = None
    anonymous: bool = False

    def visible_to(self, reader: int) -> bool:
        """Whether `reader` may ever see it: it is for all, by them or for them."""
        return self.recipient is None or reader in (self.recipient, self.author)

    def delivered_to(self, reader: int) -> bool:
        """Whether it is delivered to `reader`: for them, or for all and by another."""
        return reader == self.recipient or (self.recipient is None and reader != self.author)


class Entry(Struct, frozen=True, gc=False):
    """A message in the log; `id` counts from 1 and only grows."""

    id: int
    message: NewMessage


class AppendResult(Struct, Generic[Sender], frozen=True, gc=False):
    """What became of messages that one sender appended, one after the other; at least one.

    `entries` hold their ids; that of a duplicate is the first one's. Failed ones are not in the
    log; `error` says why, and their ids are 0.
    """

    kind: Literal["stored", "duplicate", "failed"]
    entries: Sequence[Entry]
    sender: Sender
    error: str = ""


Appended: TypeAlias = Sequence[tuple[Sequence[NewMessage], Sender]]
"""Messages in the order in which they were appended, each time by one sender."""


def assign_ids(appended: Appended[Sender], last: int) -> list[Entry]:
    """Return the messages with the ids behind `last`."""
    return [*map(Entry, count(last + 1), chain.from_iterable(messages for messages, _ in appended))]


def as_results(appended: Appended[Sender], entries: Sequence[Entry]) -> list[AppendResult[Sender]]:
    """Return the results of messages that are stored as `entries`."""
    results, end = [], 0
    for messages, sender in appended:
        start, end = end, end + len(messages)
        results.append(AppendResult("stored", entries[start:end], sender))
    return results


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


class NameOwner(Struct, frozen=True, gc=False):
    """Who may use a name: the identity, the SHA-256 of its token, and when it was last here.

    `key` is the name folded (`common.names.key`), `seen_ns` ns since the Unix epoch.
    """

    key: str
    identity: int
    token_hash: bytes
    seen_ns: int

    def is_same(self, other: "NameOwner | None") -> bool:
        """Whether `other` is this owner with this token, whenever it was last here."""
        own = (self.key, self.identity, self.token_hash)
        return other is not None and own == (other.key, other.identity, other.token_hash)


class UnusableLogError(Exception):
    """There is no log that could be gone on with; the text says why and what to do."""


class StorageError(Exception):
    """Something cannot be read or stored now; the text says why. Later it may work."""


class Log(Protocol[Sender]):
    """Keeps messages in one order, and the owners of names.

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
        """The newest common id by the name of each log that it goes on from."""

    @property
    def first(self) -> int:
        """The oldest id that is kept."""

    @property
    def last(self) -> int:
        """The newest id."""

    async def open(self, on_committed: OnCommitted[Sender]) -> None:
        """Make ready; results go to `on_committed` from now on."""

    def append(self, messages: Sequence[NewMessage], sender: Sender) -> None:
        """Take messages; their results come later. The same author and `ref` are stored once."""

    async def replay(self, reader: int, after: int, through: int) -> Page:
        """Return what reached `reader` in after < id <= through, or the first part of it."""

    async def history(self, reader: int, before: int, limit: int) -> HistorySlice:
        """Return the newest `limit` entries that concern `reader` with id < before."""

    async def owner(self, key: str) -> NameOwner | None:
        """Return who holds the name with this key."""

    async def claim(self, owner: NameOwner, replacing: NameOwner | None) -> bool:
        """Let `owner` have the name if `replacing` still has it; tell whether that was so.

        Of several who saw a name free, or saw it with the same owner, one gets it. When that was
        last here does not matter.
        """

    def record_seen(self, key: str, identity: int, seen_ns: int) -> None:
        """Note that the owner was here; if another holds the name by now, nothing happens."""

    async def flush(self) -> None:
        """Return when all that was appended so far is committed and reported."""

    async def close(self) -> None:
        """Flush, and let go of everything; once closed, closing again does nothing."""


DAY_NS: Final = 86_400 * 10**9
"""A day in ns."""


class Retention(Struct, frozen=True):
    """The newest messages are kept, as far as each limit allows; 0 is no limit.

    `age_ns` counts in ns from when a message was sent, `bytes` what all that is kept takes in the
    database. The write-ahead log and room left free by what was trimmed are not in it.
    """

    messages: int = 0
    age_ns: int = 0
    bytes: int = 0
