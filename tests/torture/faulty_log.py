"""Fault injection: logs that break a promise on purpose, to show that the checker reports it."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import structs

from chatd.messagelog.base import (
    AppendResult,
    Entry,
    NewMessage,
    OnCommitted,
    as_results,
    assign_ids,
)
from chatd.messagelog.sqlite.log import SqliteLog

MAX_HELD: Final = 64
"""Appends that `AckBeforeCommit` reports as stored and holds back, at most."""


class AckBeforeCommit(SqliteLog[Any]):
    """Reports messages as stored, and stores them when `MAX_HELD` appends have come after them.

    A kill in between loses what was acknowledged, and its ids are given to other messages.
    """

    async def open(self, on_committed: OnCommitted[Any]) -> None:
        """Open the log; results go to `on_committed` from now on."""
        await super().open(lambda _results: None)
        self._report = on_committed
        self._promised = self.last
        self._held: deque[tuple[Sequence[NewMessage], Any]] = deque()

    def append(self, messages: Sequence[NewMessage], sender: Any) -> None:
        """Report the next ids as committed, and hold the messages back."""
        appended = [(messages, sender)]
        results = as_results(appended, assign_ids(appended, self._promised))
        asyncio.get_running_loop().call_soon(self._report, results)
        self._promised += len(messages)
        self._held += appended
        if len(self._held) > MAX_HELD:
            super().append(*self._held.popleft())

    async def flush(self) -> None:
        """Commit what was held back, too."""
        while self._held:
            super().append(*self._held.popleft())
        await super().flush()


class ForgetRefs(SqliteLog[Any]):
    """Stores messages without their refs: a message that a client sends again is stored twice."""

    async def open(self, on_committed: OnCommitted[Any]) -> None:
        """Open the log; results go to `on_committed` from now on."""

        def report(results: Sequence[AppendResult[tuple[Sequence[NewMessage], Any]]]) -> None:
            on_committed([_with_refs(result) for result in results])

        await super().open(report)

    def append(self, messages: Sequence[NewMessage], sender: Any) -> None:
        """Append the messages without their refs."""
        without = [structs.replace(message, ref=None) for message in messages]
        super().append(without, (messages, sender))


def _with_refs(result: AppendResult[tuple[Sequence[NewMessage], Any]]) -> AppendResult[Any]:
    assert result.sender is not None
    messages, sender = result.sender
    numbers = [entry.id for entry in result.entries]
    entries = [*map(Entry, numbers, messages)]
    return AppendResult(result.kind, entries, sender, result.error)


FAULTY_LOGS: Final[Mapping[str, type[SqliteLog[Any]]]] = {
    "ack-before-commit": AckBeforeCommit,
    "forget-refs": ForgetRefs,
}
"""The log for each `--log-fault`."""
