"""A log under test: every implementation is put in one harness and passes one contract.

To add an implementation, write its harness and name it in `IMPLEMENTATIONS`.
"""

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final, Protocol, TypeAlias

import pytest

from chatd.log.memory import MemoryLog
from chatd.log.opening import Durability
from chatd.log.port import Draft, Entry, Log, Outcome
from chatd.log.retention import Retention
from chatd.log.sqlite import SqliteLog
from tests.chatd.stage import EPOCH_NS, Deferred


class Harness(Protocol):
    """An open log, and the outcomes it has reported so far."""

    log: Log[str]
    reported: list[Outcome[str]]

    async def commit(self) -> None:
        """Return when all that was appended is reported and what is not kept is gone."""


OpenLog: TypeAlias = Callable[[int], AbstractAsyncContextManager[Harness]]
"""Opens an empty log that keeps so many messages."""


class _MemoryHarness:
    def __init__(self, keep: int) -> None:
        self._end_turn = Deferred()
        self.log: Log[str] = MemoryLog(keep, self._end_turn)
        self.reported: list[Outcome[str]] = []

    async def commit(self) -> None:
        self._end_turn.run()


@asynccontextmanager
async def open_memory_log(keep: int) -> AsyncIterator[Harness]:
    """Open a `MemoryLog`."""
    harness = _MemoryHarness(keep)
    await harness.log.open(harness.reported.extend)
    yield harness
    await harness.log.close()


class SqliteHarness:
    """A log in a directory that may be opened again; `now_ns` is its clock."""

    def __init__(
        self,
        directory: Path,
        retention: Retention,
        durability: Durability = "process",
    ) -> None:
        self.now_ns = EPOCH_NS
        self.reported: list[Outcome[str]] = []
        self.log: Log[str] = SqliteLog(directory, durability, retention, lambda: self.now_ns)

    async def commit(self) -> None:
        """Return when all that was appended is reported, and as much has been forgotten."""
        await self.log.flush()


@asynccontextmanager
async def open_sqlite(directory: Path, retention: Retention) -> AsyncIterator[SqliteHarness]:
    """Open the `SqliteLog` in `directory`."""
    harness = SqliteHarness(directory, retention)
    await harness.log.open(harness.reported.extend)
    try:
        yield harness
    finally:
        await harness.log.close()


@asynccontextmanager
async def open_sqlite_log(keep: int) -> AsyncIterator[Harness]:
    """Open a `SqliteLog` of its own."""
    with tempfile.TemporaryDirectory() as directory:
        async with open_sqlite(Path(directory), Retention(messages=keep)) as harness:
            yield harness


IMPLEMENTATIONS: Final = [
    pytest.param(open_memory_log, id="memory"),
    pytest.param(open_sqlite_log, id="sqlite"),
]


async def fill(bench: Harness, *drafts: Draft) -> None:
    """Append `drafts`, each with an origin of its own, and commit them."""
    for number, draft in enumerate(drafts):
        bench.log.append(draft, f"origin {number}")
    await bench.commit()


async def replayed(bench: Harness, reader: int, after: int, through: int) -> list[Entry]:
    """Return what all pages of a replay hold together."""
    entries: list[Entry] = []
    while after < through:
        page = await bench.log.replay(reader, after, through)
        assert after < page.position <= through
        assert all(after < entry.id <= page.position for entry in page.entries)
        entries += page.entries
        after = page.position
    return entries
