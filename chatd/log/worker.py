"""A thread that talks to a database, so that the event loop never waits for a disk."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

import apsw

from chatd.log.database import Database
from chatd.log.port import StorageError

T = TypeVar("T")


class Worker:
    """Does one thing after the other, in the order in which it was asked, on its own connection."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, name)
        self._database: Database | None = None

    async def open(self, connect: Callable[[], apsw.Connection]) -> None:
        """Take the connection that `connect` returns; raises what that does."""

        def open_here() -> None:
            self._database = Database(connect())

        await asyncio.get_running_loop().run_in_executor(self._thread, open_here)

    async def run(self, work: Callable[[Database], T]) -> T:
        """Return what `work` returns; raises StorageError for a fault of the database."""
        try:
            return await asyncio.wrap_future(self.submit(work))
        except apsw.Error as fault:
            raise StorageError(str(fault)) from fault

    def submit(self, work: Callable[[Database], T]) -> Future[T]:
        """Have `work` done; nobody need wait for it."""

        def work_here() -> T:
            if self._database is None:
                raise StorageError("the log is not open")
            return work(self._database)

        return self._thread.submit(work_here)

    async def settle(self) -> None:
        """Return when all that was asked so far is done."""
        await self.run(lambda _database: None)

    async def close(self) -> None:
        """Do what was asked, then let go of the connection; again, it does nothing."""
        if self._database is not None:
            # What a broken disk does not let be folded into the database now stays beside it.
            with suppress(StorageError):
                await self.run(Database.close)
            self._database = None
        self._thread.shutdown()
