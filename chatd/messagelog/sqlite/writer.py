"""The writer: what runs in the thread that commits batches and keeps the log within its limits."""

import logging
from collections.abc import Callable
from typing import Final, Generic, TypeAlias

import apsw
from msgspec import Struct

from chatd.messagelog.base import AppendResult, Entry, Retention, Sender
from chatd.messagelog.sqlite.checkpoint import Checkpointer
from chatd.messagelog.sqlite.statements import CommitBatch, CommitResult, Database

logger: Final = logging.getLogger(__name__)


class CommitFailure(Struct, Generic[Sender], frozen=True):
    """Why nothing of a batch was stored, and the results that say so."""

    results: list[AppendResult[Sender]]
    error: str


class MaintenanceResult(Struct, frozen=True):
    """The oldest id that is kept after a step of maintenance, and whether more is to be done."""

    first: int
    has_more: bool


WriterResult: TypeAlias = CommitResult[Sender] | CommitFailure[Sender] | MaintenanceResult


class LogWriter(Generic[Sender]):
    """Stores batches and does what must follow each; every method runs in the writer's thread.

    `post` hands each result to the event loop. `wall_ns` tells ns since the Unix epoch.
    """

    def __init__(
        self,
        checkpointer: Checkpointer,
        retention: Retention,
        wall_ns: Callable[[], int],
        post: Callable[[WriterResult[Sender]], None],
    ) -> None:
        self._checkpointer = checkpointer
        self._retention = retention
        self._wall_ns = wall_ns
        self._post = post

    def commit(self, database: Database, batch: CommitBatch[Sender]) -> None:
        """Store a batch and report it; only then delete what is not kept."""
        try:
            result = self._store(database, batch)
        except Exception as error:
            self._post(_failure(batch, str(error)))
            return
        self._post(result)
        self._checkpointer.after_commit(database)
        self._run_step(database, at_least=batch.size)

    def maintain(self, database: Database, *, is_idle: bool) -> None:
        """Delete a part of what is not kept, and index a part of what is not indexed.

        A writer that `is_idle` does not wait until a whole segment can be indexed.
        """
        self._run_step(database, is_idle=is_idle)

    def _store(self, database: Database, batch: CommitBatch[Sender]) -> CommitResult[Sender]:
        try:
            return database.store(batch)
        except apsw.FullError:
            self._checkpointer.reclaim_space(database)
            return database.store(batch)

    def _run_step(self, database: Database, *, at_least: int = 0, is_idle: bool = False) -> None:
        first = database.first
        try:
            has_more = database.trim(self._retention, self._wall_ns(), at_least)
            has_more = (database.index(is_idle=is_idle) and is_idle) or has_more
        except apsw.Error as error:
            logger.warning("cannot trim or index the log: %s; trying again later", error)
            self._checkpointer.reclaim_space(database)
        else:
            if database.first != first or has_more:
                self._post(MaintenanceResult(database.first, has_more))


def _failure(batch: CommitBatch[Sender], error: str) -> CommitFailure[Sender]:
    results = [
        AppendResult("failed", [Entry(0, message) for message in messages], sender, error)
        for messages, sender in batch.appended
    ]
    return CommitFailure(results, error)
