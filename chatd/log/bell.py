"""How threads wake each other without keeping the interpreter from whom they wake."""

import asyncio
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

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
