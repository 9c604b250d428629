"""A thread that talks to a database, so that the event loop never waits for a disk."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from threading import Thread
from typing import Final, Generic, TypeVar

import apsw

from chatd.messagelog.base import StorageError
from chatd.messagelog.sqlite.statements import Database
from common.system.threads import WakeupPipe

logger: Final = logging.getLogger(__name__)

T = TypeVar("T")


class Worker:
    """Does one thing after the other, in the order in which it was asked, on its own connection.

    A deque and a thread: an executor makes a future of everything, which is a fifth of what it
    takes to store a message alone.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: deque[Callable[[Database], None] | None] = deque()
        self._wakeup: WakeupPipe
        self._thread: Thread | None = None

    async def open(self, connect: Callable[[], apsw.Connection]) -> None:
        """Take the connection that `connect` returns, in the thread; raises what that does."""
        opened = _ThreadFuture[None]()

        def serve() -> None:
            try:
                database = Database(connect())
            except Exception as error:
                opened.set_exception(error)
                return
            opened.set_result(None)
            self._serve(database)

        self._wakeup = WakeupPipe()
        self._thread = Thread(target=serve, name=self._name, daemon=True)
        self._thread.start()
        await opened.future

    def submit(self, task: Callable[[Database], None]) -> None:
        """Have `task` done; no result is reported."""
        self._tasks.append(task)
        self._wakeup.wake()

    async def run(self, work: Callable[[Database], T]) -> T:
        """Return what `work` returns; raises StorageError for an error of the database."""
        result = _ThreadFuture[T]()

        def task(database: Database) -> None:
            try:
                result.set_result(work(database))
            except apsw.Error as error:
                result.set_exception(StorageError(str(error)))
            except Exception as error:
                result.set_exception(error)

        self.submit(task)
        return await result.future

    async def join(self) -> None:
        """Return when all that was asked so far is done."""
        await self.run(lambda _database: None)

    async def close(self) -> None:
        """Do what was asked, then let go of the connection; again, it does nothing."""
        if self._thread is None:
            return
        thread, self._thread = self._thread, None
        self._tasks.append(None)
        self._wakeup.wake()
        await asyncio.to_thread(thread.join)
        self._wakeup.close()

    def _serve(self, database: Database) -> None:
        while (task := self._next()) is not None:
            try:
                task(database)
            except Exception:
                logger.exception("%s: a task failed", self._name)
        try:
            database.close()
        except apsw.Error as error:
            # What a broken disk does not let be folded into the database now stays beside it.
            logger.warning("%s: the database was not closed cleanly: %s", self._name, error)

    def _next(self) -> Callable[[Database], None] | None:
        while not self._tasks:
            self._wakeup.wait()
        return self._tasks.popleft()


class _ThreadFuture(Generic[T]):
    """A future of the running loop that another thread fulfils; whoever waits may be gone."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self._loop.create_future()

    def set_result(self, result: T) -> None:
        """Have the result arrive."""
        self._loop.call_soon_threadsafe(self._resolve, result)

    def set_exception(self, error: Exception) -> None:
        """Have the exception arrive."""
        self._loop.call_soon_threadsafe(self._reject, error)

    def _resolve(self, result: T) -> None:
        if not self.future.done():
            self.future.set_result(result)

    def _reject(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)
