"""Fault injection: logs that break a promise on purpose, to show that the torture notices."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import structs

from chatd.log.port import Committed, Draft, Entry, Outcome, enter, stored
from chatd.log.sqlite import SqliteLog

COMMIT_DELAY: Final = 0.05
"""Seconds (s) between what `AckBeforeCommit` promises and what it does."""


class AckBeforeCommit(SqliteLog[Any]):
    """Reports a message as stored, and has it stored a while later.

    A kill in between loses what was acknowledged, and its id is given to another message.
    """

    async def open(self, committed: Committed[Any]) -> None:
        """Make ready; outcomes go to `committed` from now on."""
        await super().open(lambda _outcomes: None)
        self._report = committed
        self._promised = self.last

    def append(self, drafts: Sequence[Draft], origin: Any) -> None:
        """Promise the next ids."""
        loop = asyncio.get_running_loop()
        appended = [(drafts, origin)]
        loop.call_soon(self._report, stored(appended, enter(appended, self._promised)))
        self._promised += len(drafts)
        loop.call_later(COMMIT_DELAY, super().append, drafts, origin)


class ForgetRefs(SqliteLog[Any]):
    """Stores messages without their refs: one that a client sends again is there twice."""

    async def open(self, committed: Committed[Any]) -> None:
        """Make ready; outcomes go to `committed` from now on."""

        def report(outcomes: Sequence[Outcome[tuple[Sequence[Draft], Any]]]) -> None:
            committed([_with_refs(outcome) for outcome in outcomes])

        await super().open(report)

    def append(self, drafts: Sequence[Draft], origin: Any) -> None:
        """Take drafts without their refs."""
        without = [structs.replace(draft, ref=None) for draft in drafts]
        super().append(without, (drafts, origin))


def _with_refs(outcome: Outcome[tuple[Sequence[Draft], Any]]) -> Outcome[Any]:
    drafts, origin = outcome.origin
    numbers = [entry.id for entry in outcome.entries]
    entries = [*map(Entry, numbers, drafts)]
    return Outcome(outcome.kind, entries, origin, outcome.failure)


FAULTY_LOGS: Final[Mapping[str, type[SqliteLog[Any]]]] = {
    "ack-before-commit": AckBeforeCommit,
    "forget-refs": ForgetRefs,
}
"""The log for each fault that can be asked for."""
