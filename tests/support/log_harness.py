"""A message log under test: one harness for each implementation, so that one contract covers all.

To add an implementation, write its harness and add it to `IMPLEMENTATIONS`. The functions at the
end make database files, intact and damaged, without a daemon.
"""

import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from typing import Final, NamedTuple, Protocol, TypeAlias

import apsw
import pytest

from chatd.messagelog.base import (
    EVERYONE,
    AppendResult,
    Audience,
    Entry,
    Identity,
    LogMetrics,
    MessageLog,
    NameOwner,
    NameStore,
    NewMessage,
    Retention,
)
from chatd.messagelog.memory import MemoryLog
from chatd.messagelog.sqlite import schema
from chatd.messagelog.sqlite.integrity import check
from chatd.messagelog.sqlite.log import SqliteLog
from chatd.messagelog.sqlite.open import FILE, Durability, open_database, open_to_read
from chatd.messagelog.sqlite.statements import CommitBatch, Database, NameClaim
from tests.support.fakes import EPOCH_NS, ManualScheduler

PLENTY: Final = 100_000
"""Messages to keep, where a test is not about forgetting."""

ANN, BOB, CAROL = 1, 2**62 - 1, 3

ALL: Final = Retention()


class Reported(NamedTuple):
    """What became of one message."""

    kind: str
    entry: Entry
    sender: str | None
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

    log: MessageLog[str]
    names: NameStore
    metrics: LogMetrics
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
        self.log: MessageLog[str]
        self.names: NameStore
        self.metrics = LogMetrics()
        self.log = self.names = MemoryLog[str](keep, self._scheduler, metrics=self.metrics)
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
        self.metrics = LogMetrics()
        self.log: MessageLog[str]
        self.names: NameStore
        self.log = self.names = SqliteLog[str](
            directory, durability, retention, lambda: self.now_ns, boot=boot, metrics=self.metrics
        )

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
    return NewMessage(author, f"user {author}", content, EPOCH_NS, 3, audience(recipient), to, ref)


def audience(recipient: int | None) -> Audience:
    """Return the audience of a message to `recipient`, or to everyone."""
    return EVERYONE if recipient is None else Identity(recipient)


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


def make_log(directory: Path, messages: Sequence[NewMessage] = (), name: str = "ann") -> Path:
    """Make a log of `messages`, all of them indexed, and who has `name`; return its file."""
    path = directory / FILE
    database = Database(open_database(path, "process"))
    claim = NameClaim(NameOwner(name, ANN, b"a" * 32, 0), None)
    database.store(CommitBatch((), (claim,), {}))
    for start in range(0, len(messages), 500):
        database.store(CommitBatch([(messages[start : start + 500], None)], (), {}))
    while database.index(is_idle=True):
        pass
    database.close()
    return path


def long_log(directory: Path, count: int = 3_000) -> Path:
    """Make a log of `count` messages, in the table and in every index."""
    messages = [new_message(ANN, "x" * 200, BOB, f"ref {number:05}") for number in range(count)]
    return make_log(directory, messages)


def old_log(directory: Path, version: int = 1) -> Path:
    """Make a log with tables of an older version: a message for all, then 1,500 between two."""
    path = directory / FILE
    connection = apsw.Connection(os.fspath(path))
    schema.migrate(connection, schema.MIGRATIONS[:1])
    connection.execute(
        "INSERT INTO entry VALUES (1, 7, 'ann', 'old', 0, 3, NULL, NULL, 'a ref', 0)"
    )
    with connection:
        connection.executemany(
            "INSERT INTO entry VALUES (?, ?, 'ann', 'old', 0, 3, ?, 'bob', ?, 0)",
            ((number, 7 + number % 2, 7, f"ref {number}") for number in range(2, 1_502)),
        )
    schema.migrate(connection, schema.MIGRATIONS[:version])
    connection.close()
    return path


def problems(path: Path) -> list[str]:
    """Return all that is wrong with a log."""
    with closing(open_to_read(path)) as log:
        return list(check(log))


def tamper(path: Path, *statements: str) -> None:
    """Change a database behind the back of the log."""
    connection = apsw.Connection(os.fspath(path))
    for statement in statements:
        connection.execute(statement)
    connection.close()


def overwrite(path: Path, offset: int, content: bytes) -> None:
    """Write bytes into a file; a negative offset counts from its end."""
    with path.open("r+b") as file:
        file.seek(offset, os.SEEK_END if offset < 0 else os.SEEK_SET)
        file.write(content)
