"""A timerfd: a kernel timer that an event loop can wait for like a socket.

An event loop wakes for its own timers on whole milliseconds of a clock that it reads once in an
iteration: up to 1 ms late, 0.3 ms on average with uvloop. A timerfd is 0.05 ms late, and costs 2 us
each time it is set.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from math import ceil

if sys.version_info >= (3, 13):
    import time

    def _create() -> int:
        return os.timerfd_create(time.CLOCK_MONOTONIC, flags=os.TFD_CLOEXEC)

    def _set(descriptor: int, at_ns: int) -> None:
        os.timerfd_settime_ns(descriptor, flags=os.TFD_TIMER_ABSTIME, initial=at_ns)

else:
    import ctypes

    _CLOCK_MONOTONIC = 1
    _TFD_TIMER_ABSTIME = 1
    _TFD_CLOEXEC = 0o2000000
    _SECOND_NS = 1_000_000_000

    _libc = ctypes.CDLL(None, use_errno=True)
    _timerfd_settime = _libc.timerfd_settime

    # struct itimerspec: seconds and ns of the interval, then of the first expiry.
    _Itimerspec = ctypes.c_long * 4

    def _create() -> int:
        return _checked(_libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_CLOEXEC))

    def _set(descriptor: int, at_ns: int) -> None:
        setting = _Itimerspec(0, 0, *divmod(at_ns, _SECOND_NS))
        _checked(_timerfd_settime(descriptor, _TFD_TIMER_ABSTIME, setting, None))

    def _checked(result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result


class TimerFD:
    """Becomes readable at the moment that it is set to; pass it to `loop.add_reader`.

    It stays readable until it is set again. Moments are ns (> 0) on the clock of
    `time.monotonic_ns`, which is CLOCK_MONOTONIC on Linux.

    Raises OSError when the process has no file descriptor left.
    """

    def __init__(self) -> None:
        self._descriptor = _create()

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._descriptor

    def set(self, at_ns: int) -> None:
        """Become readable at `at_ns` and not before; at once when that has passed."""
        _set(self._descriptor, at_ns)

    def off(self) -> None:
        """Stop being readable, now and later."""
        _set(self._descriptor, 0)

    def close(self) -> None:
        """Close the file descriptor; remove it from the loop first."""
        os.close(self._descriptor)


class LoopTimer:
    """Calls one function at a time on the running loop, some 50 us after its moment.

    A timer of uvloop would be up to 1 ms late. Asked for less than that, uvloop spins.
    """

    def __init__(self) -> None:
        self._timer = TimerFD()
        self._callback: Callable[[], None] | None = None
        asyncio.get_running_loop().add_reader(self._timer, self._on_expiry)

    def set(self, at: float, callback: Callable[[], None]) -> None:
        """Call `callback` at `at` (s, monotonic), or soon if that has passed; no earlier one."""
        self._callback = callback
        self._timer.set(ceil(at * 1e9))

    def close(self) -> None:
        """Call nothing more."""
        asyncio.get_running_loop().remove_reader(self._timer)
        self._timer.close()

    def _on_expiry(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()
        if self._callback is None:
            self._timer.off()
