"""Group commit: everything that arrives while one commit runs is stored by the next one."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final, Generic

from chatd.messagelog.base import (
    AppendResult,
    LogMetrics,
    NameOwner,
    NewMessage,
    OnCommitted,
    Sender,
    StorageError,
)
from chatd.messagelog.sqlite.statements import CommitBatch, CommitResult, NameClaim
from chatd.messagelog.sqlite.thread import DatabaseThread
from chatd.messagelog.sqlite.writer import CommitFailure, LogWriter, MaintenanceResult, WriterResult

logger: Final = logging.getLogger(__name__)

MAX_MESSAGES: Final = 4_096
"""Messages after which a batch is full: its commit takes some 0.1 s, and not a second."""

MAX_SEEN: Final = 256
"""Updates of `seen_ns` that one commit stores at most, so that it stays short."""

MAINTENANCE_INTERVAL: Final = 60.0
"""Seconds (s) after which old messages are deleted and updates of `seen_ns` are stored."""

_MAINTENANCE_PAUSE: Final = 0.01


class GroupCommit(Generic[Sender]):
    """Collects the next batch while the writer stores one, and reports results in log order.

    Every method runs on the event loop. What runs in the thread is in `LogWriter`.
    """

    def __init__(self, thread: DatabaseThread, metrics: LogMetrics) -> None:
        self.first = 1
        """The oldest id that is kept."""
        self.last = 0
        """The newest id that was reported."""
        self.seen: dict[str, tuple[int, int]] = {}
        """Who was online and is not stored yet: identity and ns by the key of the name."""
        self._thread = thread
        self._metrics = metrics
        self._writer: LogWriter[Sender]
        self._on_committed: OnCommitted[Sender] = lambda _results: None
        self._loop = asyncio.get_running_loop()
        self._appended: deque[tuple[Sequence[NewMessage], Sender | None]] = deque()
        self._claims: list[NameClaim] = []
        self._claim_futures: list[asyncio.Future[bool]] = []
        # What is being committed; there is one batch at a time.
        self._committing_seen: dict[str, tuple[int, int]] = {}
        self._committing_futures: list[asyncio.Future[bool]] = []
        self._is_committing = False
        self._appended_count = 0
        self._reported_count = 0
        self._batch_reported = asyncio.Event()
        self._is_failing = False
        self._is_stopping = False
        self._timer: asyncio.TimerHandle | None = None

    def start(
        self, writer: LogWriter[Sender], first: int, last: int, on_committed: OnCommitted[Sender]
    ) -> None:
        """Start with a log that keeps `first` to `last`; results go to `on_committed`."""
        self._writer = writer
        self.first, self.last = first, last
        self._on_committed = on_committed
        self._maintain()

    def append(self, messages: Sequence[NewMessage], sender: Sender | None) -> None:
        """Have messages stored."""
        self._appended.append((messages, sender))
        self._appended_count += len(messages)
        self._schedule_commit()

    async def claim(self, owner: NameOwner, replacing: NameOwner | None) -> bool:
        """Give a name to `owner` if it is free; raises StorageError when nobody can tell."""
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
        """Store everything that waits; then nothing more happens by itself."""
        self._is_stopping = True
        if self._timer is not None:
            self._timer.cancel()
        await self.flush()
        while self.seen:
            self._schedule_commit()
            await self._wait_for_report()
            if self._is_failing:
                break
        await self._thread.join()

    def on_result(self, result: WriterResult[Sender]) -> None:
        """Take the next result of the writer."""
        if isinstance(result, CommitResult):
            self._on_commit(result)
        elif isinstance(result, CommitFailure):
            self._on_failure(result)
        else:
            self._on_maintenance(result)

    async def _wait_for_report(self) -> None:
        self._batch_reported.clear()
        await self._batch_reported.wait()

    def _schedule_commit(self) -> None:
        if not self._is_committing:
            self._is_committing = True
            # What else arrives in this loop iteration is in the same batch.
            self._loop.call_soon(self._commit)

    def _commit(self) -> None:
        self._committing_seen = dict(islice(self.seen.items(), MAX_SEEN))
        self._committing_futures, self._claim_futures = self._claim_futures, []
        claims, self._claims = self._claims, []
        batch = CommitBatch(self._take_appended(), claims, self._committing_seen)
        self._thread.submit(lambda database: self._writer.commit(database, batch))

    def _take_appended(self) -> list[tuple[Sequence[NewMessage], Sender | None]]:
        taken, size = [], 0
        while self._appended and size < MAX_MESSAGES:
            appended = self._appended.popleft()
            taken.append(appended)
            size += len(appended[0])
        return taken

    def _on_commit(self, result: CommitResult[Sender]) -> None:
        if self._is_failing:
            logger.warning("messages are stored again")
        self._is_failing = False
        if result.results:
            self._metrics.commits += 1
            self._metrics.messages_committed += result.last - self.last
        self.first, self.last = result.first, result.last
        for key, last_seen in self._committing_seen.items():
            if self.seen.get(key) == last_seen:
                del self.seen[key]
        for future, is_granted in zip(self._committing_futures, result.granted, strict=True):
            if not future.done():
                future.set_result(is_granted)
        self._report(result.results)

    def _on_failure(self, result: CommitFailure[Sender]) -> None:
        if not self._is_failing:
            logger.error("cannot store messages: %s; their senders get an error", result.error)
        self._is_failing = True
        self._metrics.messages_failed += sum(len(one.entries) for one in result.results)
        for future in self._committing_futures:
            if not future.done():
                future.set_exception(StorageError(result.error))
        self._report(result.results)

    def _report(self, results: Sequence[AppendResult[Sender]]) -> None:
        """Report a batch after the next one is submitted: the disk works during the delivery."""
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
        self._thread.submit(lambda database: self._writer.maintain(database, is_idle=is_idle))
        self._restart_timer(MAINTENANCE_INTERVAL)

    def _on_maintenance(self, result: MaintenanceResult) -> None:
        self.first = result.first
        self._restart_timer(_MAINTENANCE_PAUSE if result.has_more else MAINTENANCE_INTERVAL)

    def _restart_timer(self, delay: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self._is_stopping:
            self._timer = self._loop.call_later(delay, self._maintain)
