"""A timer of the kernel that an event loop can wait for.

An event loop wakes for its own timers on whole milliseconds of a clock that it reads once a turn:
up to 1 ms late, 0.3 ms on average with uvloop. Through a `timerfd` it is 0.05 ms, at 2 us for each
time it is set.


One timer for an event loop that is more exact than the loop's own.
"""

import asyncio
import ctypes
from collections.abc import Callable
from math import ceil
from typing import Final

_CLOCK_MONOTONIC: Final = 1
_TFD_TIMER_ABSTIME: Final = 1
_TFD_CLOEXEC: Final = 0o2000000
_SECOND_NS: Final = 1_000_000_000

# `os` has these calls from Python 3.13 on.
_libc: Final = ctypes.CDLL(None, use_errno=True)


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("ns", ctypes.c_long))


class _Setting(ctypes.Structure):
    _fields_ = (("interval", _Time), ("value", _Time))


class Alarm:
    """Becomes readable at the moment that it was set to; hand it to `loop.add_reader`.

    It stays readable until it is set again. Moments are ns (> 0) on the clock of
    `time.monotonic_ns`, which is CLOCK_MONOTONIC on Linux.

    Raises OSError when the process has no descriptor left.
    """

    def __init__(self) -> None:
        self._descriptor = _call("timerfd_create", _CLOCK_MONOTONIC, _TFD_CLOEXEC)
        self._setting = _Setting()

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def set(self, at_ns: int) -> None:
        """Become readable at `at_ns` and no longer before; at once when that has passed."""
        value = self._setting.value
        value.seconds, value.ns = divmod(at_ns, _SECOND_NS)
        _call(
            "timerfd_settime",
            self._descriptor,
            _TFD_TIMER_ABSTIME,
            ctypes.byref(self._setting),
            None,
        )

    def off(self) -> None:
        """Become readable no more."""
        self.set(0)

    def close(self) -> None:
        """Let go of the descriptor; take it out of the loop before."""
        _call("close", self._descriptor)


def _call(name: str, *arguments: object) -> int:
    result: int = getattr(_libc, name)(*arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name} failed")
    return result


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
