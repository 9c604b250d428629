"""Fake time: a clock that a test moves, and an event loop whose clock jumps to the next timer.

The loop's clock moves only when nothing is left to run. So ``await asyncio.sleep(1e-6)`` returns
when everything else waits, and a test of 5 s of silence takes no time.
"""

import asyncio
import selectors
from collections.abc import Callable


class FakeTimer:
    """A delayed call that has not happened yet."""

    def __init__(self, due: float, call: Callable[[], None]) -> None:
        self.due = due
        self.call = call
        self.is_cancelled = False

    def cancel(self) -> None:
        """Have the call not happen."""
        self.is_cancelled = True


class FakeTime:
    """`monotonic` and `call_later` as the loop has them, in s from `start` on."""

    def __init__(self, start: float = 1_000.0) -> None:
        self.now = start
        self._timers: list[FakeTimer] = []
        self._timer: FakeTimer | None = None

    @property
    def timers(self) -> list[FakeTimer]:
        """The delayed calls to come, the next one first."""
        alive = [timer for timer in self._timers if not timer.is_cancelled]
        return sorted(alive, key=lambda timer: timer.due)

    def monotonic(self) -> float:
        """Return the seconds (s)."""
        return self.now

    def call_later(self, delay: float, call: Callable[[], None]) -> FakeTimer:
        """Run `call` after `delay` s."""
        timer = FakeTimer(_whole_ns(self.now + delay), call)
        self._timers.append(timer)
        return timer

    def set_timer(self, at: float, call: Callable[[], None]) -> None:
        """Run `call` at `at` (s), and nothing at the moment that was set before."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.call_later(at - self.now, call)

    def advance(self, seconds: float) -> None:
        """Let time pass and every timer fire on time."""
        end = _whole_ns(self.now + seconds)
        while self.timers and self.timers[0].due <= end:
            self.now = max(self.now, self.timers[0].due)
            self._run_next()
        self.now = end

    def stall(self, seconds: float) -> None:
        """Let time pass while the loop is busy, then fire what is overdue."""
        self.now = _whole_ns(self.now + seconds)
        while self.timers and self.timers[0].due <= self.now:
            self._run_next()

    def _run_next(self) -> None:
        timer = self.timers[0]
        self._timers.remove(timer)
        timer.call()


def _whole_ns(seconds: float) -> float:
    # So that 9 ms and 1 ms are 10 ms, to the last digit.
    return round(seconds, 9)


class _Selector(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("everything waits, and nothing is left that could wake it")
            self.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Starts at 0 s; for tests that use neither threads nor sockets."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        """Return seconds (s) of virtual time."""
        return self._clock.now


async def quiet() -> None:
    """Return when nothing is left to do but to wait for somebody or some time."""
    await asyncio.sleep(1e-6)
