"""One timer for an event loop that is more exact than the loop's own."""

import asyncio
from collections.abc import Callable
from math import ceil

from common.alarm import Alarm


class LoopAlarm:
    """Calls one function at a time, some 50 us after it was to be called.

    uvloop would be up to 1 ms late, and turn idly if it were asked for less than that.
    """

    def __init__(self) -> None:
        self._alarm = Alarm()
        self._call: Callable[[], None] | None = None
        asyncio.get_running_loop().add_reader(self._alarm, self._go_off)

    def set(self, at: float, call: Callable[[], None]) -> None:
        """Have `call`, and no earlier one, run at `at` (s, monotonic), or soon if that is over."""
        self._call = call
        self._alarm.set(ceil(at * 1e9))

    def close(self) -> None:
        """Let go of it."""
        asyncio.get_running_loop().remove_reader(self._alarm)
        self._alarm.close()

    def _go_off(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call()
        if self._call is None:
            self._alarm.off()
