"""Fault injection: logs that break a promise on purpose, to show that the torture notices."""

import asyncio
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

COMMIT_DELAY: Final = 0.05
"""Seconds (s) between what `AckBeforeCommit` promises and what it does."""


class AckBeforeCommit(SqliteLog[Any]):
    """Reports a message as stored, and has it stored a while later.

    A kill in between loses what was acknowledged, and its id is given to another message.
    """

    async def open(self, on_committed: OnCommitted[Any]) -> None:
        """Make ready; results go to `on_committed` from now on."""
        await super().open(lambda _outcomes: None)
        self._report = on_committed
        self._promised = self.last

    def append(self, messages: Sequence[NewMessage], sender: Any) -> None:
        """Promise the next ids."""
        loop = asyncio.get_running_loop()
        appended = [(messages, sender)]
        loop.call_soon(self._report, as_results(appended, assign_ids(appended, self._promised)))
        self._promised += len(messages)
        loop.call_later(COMMIT_DELAY, super().append, messages, sender)


class ForgetRefs(SqliteLog[Any]):
    """Stores messages without their refs: one that a client sends again is there twice."""

    async def open(self, on_committed: OnCommitted[Any]) -> None:
        """Make ready; results go to `on_committed` from now on."""

        def report(results: Sequence[AppendResult[tuple[Sequence[NewMessage], Any]]]) -> None:
            on_committed([_with_refs(result) for result in results])

        await super().open(report)

    def append(self, messages: Sequence[NewMessage], sender: Any) -> None:
        """Take messages without their refs."""
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
"""The log for each fault that can be asked for."""
