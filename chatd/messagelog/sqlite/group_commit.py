"""Group commit: what was asked for while the last commit ran goes into the next."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import Final, Generic, TypeAlias

import apsw

from chatd.messagelog.base import (
    AppendResult,
    Entry,
    NameOwner,
    NewMessage,
    OnCommitted,
    Retention,
    Sender,
    StorageError,
)
from chatd.messagelog.sqlite.checkpoint import Checkpointer
from chatd.messagelog.sqlite.statements import CommitBatch, CommitResult, Database, NameClaim
from chatd.messagelog.sqlite.thread import Worker

logger: Final = logging.getLogger(__name__)

MAX_MESSAGES: Final = 4_096
"""Messages that one commit stores, about, at most, so that it takes some 0.1 s and no second."""

MAX_SEEN: Final = 256
"""Updates of `seen_ns` that one commit stores at most, so that nobody waits for long."""

MAINTENANCE_INTERVAL: Final = 60.0
"""Seconds (s) after which what became too old is forgotten, and who was seen is written."""

_MAINTENANCE_PAUSE: Final = 0.01

_ClaimFutures: TypeAlias = Sequence[asyncio.Future[bool]]


class GroupCommit(Generic[Sender]):
    """Has batches stored by the thread of `writer`, one at a time, and reports them in order.

    After each, and now and then, it has a step of what is behind indexed, and a step of what
    `retention` does not keep forgotten.
    `wall_ns` tells ns since the Unix epoch.
    """

    def __init__(
        self,
        writer: Worker,
        checkpointer: Checkpointer,
        retention: Retention,
        wall_ns: Callable[[], int],
    ) -> None:
        self.first = 1
        self.last = 0
        self.seen: dict[str, tuple[int, int]] = {}
        """What is still to be written of who was here: identity and ns by the key of the name."""
        self._writer = writer
        self._checkpointer = checkpointer
        self._retention = retention
        self._wall_ns = wall_ns
        self._loop = asyncio.get_running_loop()
        self._call_in_loop: Callable[[Callable[[], None]], None] = lambda _call: None
        self._on_committed: OnCommitted[Sender] = lambda _results: None
        self._appended: deque[tuple[Sequence[NewMessage], Sender | None]] = deque()
        self._claims: list[NameClaim] = []
        self._claim_futures: list[asyncio.Future[bool]] = []
        self._appended_count = 0
        self._reported_count = 0
        self._is_committing = False
        self._is_failing = False
        self._is_stopping = False
        self._batch_reported = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    def start(
        self,
        first: int,
        last: int,
        call_in_loop: Callable[[Callable[[], None]], None],
        on_committed: OnCommitted[Sender],
    ) -> None:
        """Begin with a log that keeps `first` to `last`; results go to `on_committed`.

        `to_messages` has the loop call a function for another thread.
        """
        self._call_in_loop = call_in_loop
        self.first, self.last = first, last
        self._on_committed = on_committed
        self._maintain()

    def append(self, messages: Sequence[NewMessage], sender: Sender | None) -> None:
        """Have messages stored."""
        self._appended.append((messages, sender))
        self._appended_count += len(messages)
        self._schedule_commit()

    async def claim(self, owner: NameOwner, replacing: NameOwner | None) -> bool:
        """Let `owner` have a name if that is free; raises StorageError when that is not known."""
        future: asyncio.Future[bool] = self._loop.create_future()
        self._claims.append(NameClaim(owner, replacing))
        self._claim_futures.append(future)
        self._schedule_commit()
        return await future

    async def flush(self) -> None:
        """Return when every message that was appended so far is reported."""
        goal = self._appended_count
        while self._reported_count < goal:
            await self._wait_for_report()

    async def stop(self) -> None:
        """Store what waits and who was seen; then nothing more happens by itself."""
        self._is_stopping = True
        if self._timer is not None:
            self._timer.cancel()
        await self.flush()
        while self.seen:
            self._schedule_commit()
            await self._wait_for_report()
            if self._is_failing:
                break
        await self._writer.join()

    async def _wait_for_report(self) -> None:
        self._batch_reported.clear()
        await self._batch_reported.wait()

    def _schedule_commit(self) -> None:
        if not self._is_committing:
            self._is_committing = True
            # What else this loop iteration brings goes along.
            self._loop.call_soon(self._commit)

    def _commit(self) -> None:
        seen = dict(islice(self.seen.items(), MAX_SEEN))
        batch = CommitBatch(self._take(), self._claims, seen)
        futures = self._claim_futures
        self._claims, self._claim_futures = [], []
        self._writer.submit(lambda database: self._store(database, batch, futures))

    def _take(self) -> list[tuple[Sequence[NewMessage], Sender | None]]:
        taken, size = [], 0
        while self._appended and size < MAX_MESSAGES:
            appended = self._appended.popleft()
            taken.append(appended)
            size += len(appended[0])
        return taken

    def _store(
        self, database: Database, batch: CommitBatch[Sender], futures: _ClaimFutures
    ) -> None:
        """Commit, tell the loop, and only then forget what is not kept; in the writer's thread."""
        try:
            committed = self._store_in(database, batch)
        except Exception as error:
            self._call_in_loop(partial(self._commit_failed, batch, futures, error))
        else:
            self._call_in_loop(partial(self._commit_done, batch, futures, committed))
            self._checkpointer.after_commit(database)
            self._run_maintenance_step(database, at_least=batch.size)

    def _store_in(self, database: Database, batch: CommitBatch[Sender]) -> CommitResult[Sender]:
        try:
            return database.store(batch)
        except apsw.FullError:
            self._checkpointer.reclaim_space(database)
            return database.store(batch)

    def _commit_done(
        self, batch: CommitBatch[Sender], futures: _ClaimFutures, committed: CommitResult[Sender]
    ) -> None:
        if self._is_failing:
            logger.warning("messages are stored again")
        self._is_failing = False
        self.first, self.last = committed.first, committed.last
        for key, last_seen in batch.seen.items():
            if self.seen.get(key) == last_seen:
                del self.seen[key]
        for future, is_granted in zip(futures, committed.granted, strict=True):
            if not future.done():
                future.set_result(is_granted)
        self._report(committed.results)

    def _commit_failed(
        self, batch: CommitBatch[Sender], futures: _ClaimFutures, error: Exception
    ) -> None:
        if not self._is_failing:
            logger.error("cannot store messages: %s; senders are told", error)
        self._is_failing = True
        for future in futures:
            if not future.done():
                future.set_exception(StorageError(str(error)))
        detail = str(error)
        self._report(
            [
                AppendResult("failed", [Entry(0, message) for message in messages], sender, detail)
                for messages, sender in batch.appended
            ]
        )

    def _report(self, results: Sequence[AppendResult[Sender]]) -> None:
        """Report a batch, after the next is under way: the disk works while it is delivered."""
        self._is_committing = bool(self._appended or self._claims)
        if self._is_committing:
            self._commit()
        self._reported_count += sum(len(result.entries) for result in results)
        self._batch_reported.set()
        if results:
            self._on_committed(results)

    def _maintain(self) -> None:
        if self.seen:
            self._schedule_commit()
        is_idle = not self._is_committing
        self._writer.submit(lambda database: self._run_maintenance_step(database, is_idle=is_idle))
        self._restart_timer(MAINTENANCE_INTERVAL)

    def _run_maintenance_step(
        self, database: Database, *, at_least: int = 0, is_idle: bool = False
    ) -> None:
        first = database.first
        try:
            has_more = database.trim(self._retention, self._wall_ns(), at_least)
            has_more = (database.index(is_idle=is_idle) and is_idle) or has_more
        except apsw.Error as error:
            logger.warning("cannot tidy the log up: %s; trying again in a while", error)
            self._checkpointer.reclaim_space(database)
        else:
            if database.first != first or has_more:
                self._call_in_loop(partial(self._maintenance_done, database.first, has_more))

    def _maintenance_done(self, first: int, has_more: bool) -> None:
        self.first = first
        self._restart_timer(_MAINTENANCE_PAUSE if has_more else MAINTENANCE_INTERVAL)

    def _restart_timer(self, delay: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self._is_stopping:
            self._timer = self._loop.call_later(delay, self._maintain)
