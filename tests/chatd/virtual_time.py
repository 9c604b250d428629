"""An event loop in which waiting takes no time: the clock jumps to the next timer.

It moves only when nothing is left to run, so that ``await asyncio.sleep(1e-6)`` returns when
everything else waits, and what happens after 5 s of silence is tried in no time.
"""

import asyncio
import selectors


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
