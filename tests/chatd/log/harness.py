"""A log under test: every implementation is put in one harness and passes one contract.

To add an implementation, write its harness and name it in `IMPLEMENTATIONS`.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, Protocol, TypeAlias

import pytest

from chatd.log.memory import MemoryLog
from chatd.log.port import Draft, Entry, Log, Outcome
from tests.chatd.stage import Deferred


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


IMPLEMENTATIONS: Final = [pytest.param(open_memory_log, id="memory")]


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
