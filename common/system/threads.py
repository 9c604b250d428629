"""Threads beside an event loop: waking each other, calling back into the loop, blocking work."""

import asyncio
import os
from asyncio import Future
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, NamedTuple, TypeVar

MAX_BATCH: Final = 32
"""Results that go back to the loop together at most: of pieces, 2 to 5 ms of work."""

_MAX_READ: Final = 4_096

_T = TypeVar("_T")


class WakeupPipe:
    """Lets one thread wait until another wakes it, through a pipe (the self-pipe trick).

    A write to a pipe releases the interpreter. Releasing a lock or `call_soon_threadsafe` does not:
    the woken thread starts at once on the same core, needs the interpreter, and is put to sleep and
    woken again. To store a single message then took four switches of either thread instead of two,
    and a sixth more CPU.
    """

    def __init__(self) -> None:
        self.descriptor, self._write_end = os.pipe()
        """The read end: readable after `wake`."""
        os.set_blocking(self._write_end, False)

    def wake(self) -> None:
        """Wake the thread that waits, or that waits next."""
        with suppress(BlockingIOError):  # the pipe is full of earlier calls
            os.write(self._write_end, b"!")

    def wait(self) -> None:
        """Block until `wake` was called since the last `wait`. May return without a reason."""
        os.read(self.descriptor, _MAX_READ)

    def close(self) -> None:
        """Close the pipe; no thread may use it any more."""
        os.close(self.descriptor)
        os.close(self._write_end)


class LoopCaller:
    """Calls functions on the running loop for other threads, in the order of their requests."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._calls: deque[Callable[[], None]] = deque()
        self._wakeup = WakeupPipe()
        self._loop.add_reader(self._wakeup.descriptor, self._call)

    def call(self, function: Callable[[], None]) -> None:
        """Call `function` on the loop soon; any thread may ask for it."""
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
            if self._calls:  # one raised an exception: the others still have to be called
                self._wakeup.wake()


class _Work(NamedTuple):
    run: Callable[[], Any]
    future: "Future[Any]"


class _Result(NamedTuple):
    future: "Future[Any]"
    result: Any
    error: Exception | None


class WorkerThread:
    """Runs blocking calls in one thread, in order, and returns each result through a future.

    Calls that are waiting run as one batch of at most `batch`, and the loop is woken once for all
    their results. That saves about a quarter of the CPU time for verifying and writing pieces.
    """

    def __init__(self, name: str, batch: int = MAX_BATCH) -> None:
        self._loop = asyncio.get_running_loop()
        self._batch = batch
        self._queue: SimpleQueue[_Work] = SimpleQueue()
        self._closing = False
        # The files are sound whenever this thread is cut off, so the program need not wait for it.
        Thread(target=self._run, name=name, daemon=True).start()

    def submit(self, run: Callable[[], _T]) -> "Future[_T]":
        """Call `run` in the thread; the future gets what it returns or raises."""
        future: Future[_T] = self._loop.create_future()
        self._queue.put(_Work(run, future))
        return future

    async def close(self) -> None:
        """Run the calls that are waiting, then end the thread. Nothing may be submitted later."""
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
            except RuntimeError:  # the loop is closed
                return


def _attempt(work: _Work) -> _Result:
    try:
        return _Result(work.future, work.run(), None)
    except Exception as error:  # goes to the future
        return _Result(work.future, None, error)


def _set_results(results: list[_Result]) -> None:
    for future, result, error in results:
        if future.done():  # cancelled
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
