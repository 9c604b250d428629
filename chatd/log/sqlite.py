"""A log that lasts: SQLite, one writer thread, and one commit for all that waited for the last."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Final, Generic, TypeVar

import apsw

from chatd.files import open_locked
from chatd.log.database import Database
from chatd.log.port import Committed, Draft, Excerpt, Holder, Origin, Outcome, Page
from chatd.log.schema import Durability, connect, open_database

logger: Final = logging.getLogger(__name__)

_BATCH: Final = 4_096

T = TypeVar("T")


class SqliteLog(Generic[Origin]):
    """Keeps the newest `keep_messages` messages in the database at `path`.

    What is appended while a commit runs goes into the next, so that many senders cost about as many
    commits as one. Nothing is reported before its commit is done. What cannot be stored is reported
    as failed, and the next batch tries again.
    """

    def __init__(self, path: Path, durability: Durability, keep_messages: int) -> None:
        self.name = ""
        self.first = 1
        self.last = 0
        self._path = path
        self._durability: Durability = durability
        self._keep = keep_messages
        self._appended: list[tuple[Draft, Origin]] = []
        self._is_committing = False
        self._is_failing = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._committed: Committed[Origin] = lambda _outcomes: None
        self._lock: BinaryIO | None = None
        self._writer = _Worker("log-writer")
        self._reader = _Worker("log-reader")

    async def open(self, committed: Committed[Origin]) -> None:
        """Make ready; outcomes go to `committed` from now on. Raises DatabaseError, OSError."""
        self._committed = committed
        self._lock = open_locked(self._path.with_suffix(".lock"))
        await self._writer.open(lambda: open_database(self._path, self._durability))
        await self._reader.open(lambda: connect(self._path, self._durability))
        self.name, self.first, self.last = await self._writer.run(
            lambda database: (database.name, database.first, database.last)
        )

    def append(self, draft: Draft, origin: Origin) -> None:
        """Take a draft; its outcome comes after the commit that stores it."""
        self._appended.append((draft, origin))
        if not self._is_committing:
            self._is_committing = True
            self._idle.clear()
            # What else this turn of the loop brings goes along.
            asyncio.get_running_loop().call_soon(self._commit)

    async def replay(self, reader: int, after: int, through: int) -> Page:
        """Return what reached `reader` in after < id <= through, or the first part of it."""
        return await self._reader.run(lambda database: database.replay(reader, after, through))

    async def history(self, reader: int, before: int, limit: int) -> Excerpt:
        """Return the newest `limit` entries that concern `reader` with id < before."""
        return await self._reader.run(lambda database: database.history(reader, before, limit))

    async def holder(self, key: str) -> Holder | None:
        """Return who holds the name with this key."""
        return await self._reader.run(lambda database: database.holder(key))

    async def hold(self, holder: Holder) -> None:
        """Remember `holder`, in place of an earlier one of the same key."""
        await self._writer.run(lambda database: database.hold(holder))

    def touch(self, key: str, identity: int, seen_ns: int) -> None:
        """Note that the holder was here; if another holds the name by now, nothing happens."""
        self._writer.submit(lambda database: database.touch(key, identity, seen_ns))

    async def settled(self) -> None:
        """Wait until all that was appended is reported."""
        await self._idle.wait()

    async def close(self) -> None:
        """Commit what was appended, report it, and let go of the file."""
        await self.settled()
        await self._reader.close()
        await self._writer.close()
        if self._lock is not None:
            self._lock.close()

    def _commit(self) -> None:
        batch, self._appended = self._appended[:_BATCH], self._appended[_BATCH:]
        loop = asyncio.get_running_loop()

        def store(database: Database) -> None:
            outcomes = database.append(batch, self._keep)
            loop.call_soon_threadsafe(self._report, outcomes, database.first, database.last)

        self._writer.submit(store)

    def _report(self, outcomes: Sequence[Outcome[Origin]], first: int, last: int) -> None:
        self.first, self.last = first, last
        self._note(outcomes[-1])
        try:
            self._committed(outcomes)
        finally:
            if self._appended:
                self._commit()
            else:
                self._is_committing = False
                self._idle.set()

    def _note(self, outcome: Outcome[Origin]) -> None:
        is_failing = outcome.kind == "failed"
        if is_failing and not self._is_failing:
            logger.error("cannot store messages: %s; senders are told", outcome.failure)
        elif self._is_failing and not is_failing:
            logger.warning("messages are stored again")
        self._is_failing = is_failing


class _Worker:
    """A thread with a database connection of its own, which does one thing after the other."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, name)
        self._database: Database | None = None

    async def open(self, connect: Callable[[], apsw.Connection]) -> None:
        def open_here() -> None:
            self._database = Database(connect())

        await asyncio.get_running_loop().run_in_executor(self._thread, open_here)

    async def run(self, work: Callable[[Database], T]) -> T:
        return await asyncio.wrap_future(self.submit(work))

    def submit(self, work: Callable[[Database], T]) -> Future[T]:
        def work_here() -> T:
            if self._database is None:
                raise RuntimeError("the log is not open")
            return work(self._database)

        return self._thread.submit(work_here)

    async def close(self) -> None:
        if self._database is not None:
            await self.run(Database.close)
        self._thread.shutdown()
