"""One timer for an event loop that is more exact than the loop's own."""

import asyncio
from collections.abc import Callable
from math import ceil

from common.alarm import Alarm


class LoopTimer:
    """Calls one function at a time, some 50 us after it was to be called.

    uvloop would be up to 1 ms late, and turn idly if it were asked for less than that.
    """

    def __init__(self) -> None:
        self._timer = Alarm()
        self._callback: Callable[[], None] | None = None
        asyncio.get_running_loop().add_reader(self._timer, self._on_expiry)

    def set(self, at: float, callback: Callable[[], None]) -> None:
        """Run `callback`, and no earlier one, at `at` (s, monotonic), or soon if that is over."""
        self._callback = callback
        self._timer.set(ceil(at * 1e9))

    def close(self) -> None:
        """Let go of it."""
        asyncio.get_running_loop().remove_reader(self._timer)
        self._timer.close()

    def _on_expiry(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()
        if self._callback is None:
            self._timer.off()
