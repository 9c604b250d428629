"""A thread with a database connection, so that the event loop never waits for the disk."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from threading import Thread
from typing import Final, Generic, TypeAlias, TypeVar

import apsw

from chatd.messagelog.base import StorageError
from chatd.messagelog.sqlite.statements import Database
from common.system.threads import WakeupPipe

logger: Final = logging.getLogger(__name__)

T = TypeVar("T")

_Tasks: TypeAlias = deque[Callable[[Database], None] | None]
"""What the thread has to do; None ends it."""


class DatabaseThread:
    """Runs tasks one after the other, in the order in which they were submitted.

    Every method runs on the event loop. This is a deque and a thread and no executor: an executor
    makes a future for each task, which is a fifth of what it takes to store one message alone.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: _Tasks = deque()
        self._wakeup: WakeupPipe
        self._thread: Thread | None = None

    async def open(self, connect: Callable[[], apsw.Connection]) -> None:
        """Start the thread and have it call `connect`; raises what that raises."""
        opened: _ThreadFuture[None] = _ThreadFuture()
        self._wakeup = WakeupPipe()
        arguments = (self._name, connect, opened, self._tasks, self._wakeup)
        self._thread = Thread(target=_run, args=arguments, name=self._name, daemon=True)
        self._thread.start()
        await opened.future

    def submit(self, task: Callable[[Database], None]) -> None:
        """Have the thread call `task`; no result is reported."""
        self._tasks.append(task)
        self._wakeup.wake()

    async def run(self, work: Callable[[Database], T]) -> T:
        """Return what `work` returns in the thread; raises StorageError for an apsw.Error."""
        result: _ThreadFuture[T] = _ThreadFuture()

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
        """Return when everything submitted so far is done."""
        await self.run(lambda _database: None)

    async def close(self) -> None:
        """Do everything submitted, then close the connection; closing again does nothing."""
        if self._thread is None:
            return
        thread, self._thread = self._thread, None
        self._tasks.append(None)
        self._wakeup.wake()
        await asyncio.to_thread(thread.join)
        self._wakeup.close()


class _ThreadFuture(Generic[T]):
    """A future of the running loop that another thread resolves; it may be cancelled before."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self._loop.create_future()

    def set_result(self, result: T) -> None:
        """Have the loop set the result."""
        self._loop.call_soon_threadsafe(self._resolve, result)

    def set_exception(self, error: Exception) -> None:
        """Have the loop set the exception."""
        self._loop.call_soon_threadsafe(self._reject, error)

    def _resolve(self, result: T) -> None:
        if not self.future.done():
            self.future.set_result(result)

    def _reject(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


def _run(
    name: str,
    connect: Callable[[], apsw.Connection],
    opened: _ThreadFuture[None],
    tasks: _Tasks,
    wakeup: WakeupPipe,
) -> None:
    """Do what is submitted, in the thread."""
    try:
        database = Database(connect())
    except Exception as error:
        opened.set_exception(error)
        return
    opened.set_result(None)
    while (task := _next(tasks, wakeup)) is not None:
        try:
            task(database)
        except Exception:
            logger.exception("%s: a task failed", name)
    try:
        database.close()
    except apsw.Error as error:
        # A broken disk leaves the write-ahead log beside the database.
        logger.warning("%s: the database was not closed cleanly: %s", name, error)


def _next(tasks: _Tasks, wakeup: WakeupPipe) -> Callable[[Database], None] | None:
    while not tasks:
        wakeup.wait()
    return tasks.popleft()
