"""A log under test: every implementation is put in one harness and passes one contract.

To add an implementation, write its harness and name it in `IMPLEMENTATIONS`.
"""

import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple, Protocol, TypeAlias

import pytest

from chatd.log.memory import MemoryLog
from chatd.log.opening import Durability
from chatd.log.port import AppendResult, Entry, Log, NewMessage
from chatd.log.retention import Retention
from chatd.log.sqlite import SqliteLog
from tests.chatd.stand_ins import EPOCH_NS, ManualScheduler

PLENTY: Final = 100_000
"""Messages to keep, where a test is not about forgetting."""

ANN, BOB, CAROL = 1, 2**62 - 1, 3

ALL: Final = Retention()


class Reported(NamedTuple):
    """What became of one message."""

    kind: str
    entry: Entry
    sender: str
    error: str


def each(results: Iterable[AppendResult[str]]) -> list[Reported]:
    """Return what `results` say of each message."""
    return [
        Reported(result.kind, entry, result.sender, result.error)
        for result in results
        for entry in result.entries
    ]


class Harness(Protocol):
    """An open log, and what it has reported so far."""

    log: Log[str]
    reported: list[Reported]

    def note(self, results: Iterable[AppendResult[str]]) -> None:
        """Take what the log reports."""

    async def commit(self) -> None:
        """Return when all that was appended is reported and what is not kept is gone."""


OpenLog: TypeAlias = Callable[[int], AbstractAsyncContextManager[Harness]]
"""Opens an empty log that keeps so many messages."""


class _MemoryHarness:
    def __init__(self, keep: int) -> None:
        self._scheduler = ManualScheduler()
        self.log: Log[str] = MemoryLog(keep, self._scheduler)
        self.reported: list[Reported] = []

    def note(self, results: Iterable[AppendResult[str]]) -> None:
        self.reported += each(results)

    async def commit(self) -> None:
        self._scheduler.run()


@asynccontextmanager
async def open_memory_log(keep: int) -> AsyncIterator[Harness]:
    """Open a `MemoryLog`."""
    harness = _MemoryHarness(keep)
    await harness.log.open(harness.note)
    yield harness
    await harness.log.close()


class SqliteHarness:
    """A `SqliteLog` in a directory where another one was or will be; `now_ns` is its clock."""

    def __init__(
        self,
        directory: Path,
        retention: Retention = ALL,
        durability: Durability = "process",
        boot: str | None = None,
    ) -> None:
        self.now_ns = EPOCH_NS
        self.reported: list[Reported] = []
        self.log: Log[str] = SqliteLog(directory, durability, retention, lambda: self.now_ns, boot)

    def note(self, results: Iterable[AppendResult[str]]) -> None:
        self.reported += each(results)

    async def commit(self) -> None:
        await self.log.flush()


@asynccontextmanager
async def open_sqlite(
    directory: Path,
    retention: Retention = ALL,
    durability: Durability = "process",
    boot: str | None = None,
) -> AsyncIterator[SqliteHarness]:
    """Open the `SqliteLog` in `directory`, in this boot of the machine or another one."""
    harness = SqliteHarness(directory, retention, durability, boot)
    await harness.log.open(harness.note)
    try:
        yield harness
    finally:
        await harness.log.close()


@asynccontextmanager
async def open_sqlite_log(keep: int) -> AsyncIterator[Harness]:
    """Open a `SqliteLog` in a directory of its own."""
    with tempfile.TemporaryDirectory() as directory:
        async with open_sqlite(Path(directory), Retention(messages=keep)) as harness:
            yield harness


IMPLEMENTATIONS: Final = [
    pytest.param(open_memory_log, id="memory"),
    pytest.param(open_sqlite_log, id="sqlite"),
]


def new_message(
    author: int = ANN, content: str = "hi", recipient: int | None = None, ref: str | None = None
) -> NewMessage:
    """Return a message to everyone, or to `recipient`."""
    to = None if recipient is None else f"user {recipient}"
    return NewMessage(author, f"user {author}", content, EPOCH_NS, 3, recipient, to, ref)


def ids(entries: list[Entry]) -> list[int]:
    """Return the ids of `entries`."""
    return [entry.id for entry in entries]


async def fill(harness: Harness, *messages: NewMessage) -> None:
    """Append `messages`, each with a sender of its own, and commit them."""
    for number, one in enumerate(messages):
        harness.log.append([one], f"sender {number}")
    await harness.commit()


async def replayed(harness: Harness, reader: int, after: int, through: int) -> list[Entry]:
    """Return what all pages of a replay hold together."""
    entries: list[Entry] = []
    while after < through:
        page = await harness.log.replay(reader, after, through)
        assert after < page.position <= through
        assert all(after < entry.id <= page.position for entry in page.entries)
        entries += page.entries
        after = page.position
    return entries
