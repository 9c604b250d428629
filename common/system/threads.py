"""How threads wake each other without keeping the interpreter from whom they wake.

Work that blocks, done in a thread in the order in which it was given.
"""

import asyncio
import os
from asyncio import Future
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, NamedTuple, TypeVar

_MAX_READ: Final = 4_096


class WakeupPipe:
    """One thread waits until another wakes it.

    To write to a pipe lets go of the interpreter. To release a lock or to `call_soon_threadsafe`
    does not: whoever wakes on the same core begins at once, needs the interpreter, and has to be
    put aside and woken again. A message that is stored alone took four switches of either thread,
    not two, and a sixth more CPU.
    """

    def __init__(self) -> None:
        self.descriptor, self._write_end = os.pipe()
        """Readable when it was woken."""
        os.set_blocking(self._write_end, False)

    def wake(self) -> None:
        """Wake whoever waits, or will."""
        with suppress(BlockingIOError):  # it was woken so often that the pipe is full
            os.write(self._write_end, b"!")

    def wait(self) -> None:
        """Return when it was woken, which is then forgotten; maybe it was for no reason."""
        os.read(self.descriptor, _MAX_READ)

    def close(self) -> None:
        """Let go of the pipe; nobody waits, and nobody wakes it any more."""
        os.close(self.descriptor)
        os.close(self._write_end)


class LoopCaller:
    """Has the running loop call functions for other threads, in the order in which they ask."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._calls: deque[Callable[[], None]] = deque()
        self._wakeup = WakeupPipe()
        self._loop.add_reader(self._wakeup.descriptor, self._call)

    def call(self, function: Callable[[], None]) -> None:
        """Have the loop call `function` soon; from any thread."""
        self._calls.append(function)
        self._wakeup.wake()

    def close(self) -> None:
        """Call nothing more."""
        self._loop.remove_reader(self._wakeup.descriptor)
        self._wakeup.close()

    def _call(self) -> None:
        self._wakeup.wait()
        try:
            while self._calls:
                self._calls.popleft()()
        finally:
            if self._calls:  # one failed, which is no reason to forget the others
                self._wakeup.wake()


_T = TypeVar("_T")

MAX_BATCH: Final = 32
"""Results that go back to the loop together at most: of pieces, 2 to 5 ms of work."""


class _Work(NamedTuple):
    run: Callable[[], Any]
    future: "Future[Any]"


class _Result(NamedTuple):
    future: "Future[Any]"
    result: Any
    error: Exception | None


class WorkerThread:
    """A thread. What is waiting for it is done in one go, and the loop is woken once for all.

    Of the CPU time for verifying and writing pieces that spares about a quarter.
    """

    def __init__(self, name: str, batch: int = MAX_BATCH) -> None:
        self._loop = asyncio.get_running_loop()
        self._batch = batch
        self._queue: SimpleQueue[_Work] = SimpleQueue()
        self._closing = False
        # What is on disk is good whenever this thread is cut off, so the program need not wait.
        Thread(target=self._run, name=name, daemon=True).start()

    def submit(self, run: Callable[[], _T]) -> "Future[_T]":
        """Have `run` called in the thread; the future gets what it returns or raises."""
        future: Future[_T] = self._loop.create_future()
        self._queue.put(_Work(run, future))
        return future

    async def close(self) -> None:
        """Do what is waiting, and end the thread; nothing may be submitted after this."""
        await self.submit(self._close)

    def _close(self) -> None:
        self._closing = True

    def _run(self) -> None:
        while not self._closing:
            waiting = [self._queue.get()]
            with suppress(Empty):
                while len(waiting) < self._batch:
                    waiting.append(self._queue.get_nowait())
            results = [_attempt(work) for work in waiting]
            try:
                self._loop.call_soon_threadsafe(_set_results, results)
            except RuntimeError:  # the loop was closed: nobody waits any more
                return


def _attempt(work: _Work) -> _Result:
    try:
        return _Result(work.future, work.run(), None)
    except Exception as error:  # it is for whoever waits for the future
        return _Result(work.future, None, error)


def _set_results(results: list[_Result]) -> None:
    for future, result, error in results:
        if future.done():  # cancelled: nobody waits for it any more
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
