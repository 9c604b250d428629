"""A timer wheel: a hundred thousand timers behind one timer of the event loop."""

import heapq
import logging
from collections.abc import Callable, Iterable
from math import ceil, inf
from typing import Final, Protocol

logger: Final = logging.getLogger(__name__)

TICKS: Final = 1_000
"""Buckets in a second: 1 ms each, the resolution of the loop's own timers."""

_MAX_EARLY_ADVANCE: Final = 0.02
"""Seconds (s) for which others may advance the wheel before its own timer fires.

After that, others who wait for the loop come first: a server at full load would never read again.
"""


class TimerEntry(Protocol):
    """An entry of the wheel."""

    def on_timer(self) -> None:
        """Do what is due; an exception is logged and delays nobody else."""


class TimerWheel:
    """Fires each entry at its time or up to 1 ms later, never earlier; late ones all at once.

    Entries of the same millisecond share a bucket: adding one costs a dictionary look-up and an
    append. A timer of the loop would cost three times the CPU and five times the memory.
    `monotonic` returns seconds (s). `set_timer` runs a function at a time of that clock, and
    replaces the timer set before. Code that is about to block the loop may check `next_deadline`
    and `advance` the wheel first. `flush` is called after that, so that what entries send leaves
    at once.
    """

    def __init__(
        self,
        monotonic: Callable[[], float],
        set_timer: Callable[[float, Callable[[], None]], None],
        flush: Callable[[], None] = lambda: None,
    ) -> None:
        self._monotonic = monotonic
        self._set_timer = set_timer
        self._flush = flush
        self._buckets: dict[int, list[TimerEntry]] = {}
        self._tick_heap: list[int] = []
        self._armed_tick: float = inf
        self.next_deadline = inf
        """When to `advance` it: monotonic, in s; infinity means to leave that to the timer."""
        self._early_since = inf

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))

    def now(self) -> int:
        """Return the current tick."""
        moment = self._monotonic()
        tick = int(moment * TICKS)
        # Rounding to floats and back may return a tick less, for ever where the clock stands still.
        return tick + 1 if (tick + 1) / TICKS <= moment else tick

    def tick_in(self, delay: float) -> int:
        """Return the tick at which an entry that is due in `delay` seconds (s, >= 0) fires."""
        return ceil((self._monotonic() + delay) * TICKS)

    def add(self, tick: int, entry: TimerEntry) -> None:
        """Fire `entry` at `tick`."""
        bucket = self._buckets.get(tick)
        if bucket is not None:
            bucket.append(entry)
            return
        self._buckets[tick] = [entry]
        heapq.heappush(self._tick_heap, tick)
        if tick < self._armed_tick:
            self._arm()

    def remove(self, entries: Iterable[tuple[int, TimerEntry]]) -> None:
        """Remove entries, each given with its tick; those that have fired are ignored."""
        removed: dict[int, set[int]] = {}
        for tick, entry in entries:
            removed.setdefault(tick, set()).add(id(entry))
        for tick, ids in removed.items():
            remaining = [entry for entry in self._buckets.get(tick, ()) if id(entry) not in ids]
            if remaining:
                self._buckets[tick] = remaining
            else:
                self._buckets.pop(tick, None)

    def advance(self) -> None:
        """Fire what is due without waiting for the timer."""
        self._early_since = min(self._early_since, self._monotonic())
        self._advance()
        if self._monotonic() - self._early_since > _MAX_EARLY_ADVANCE:
            self.next_deadline = inf

    def _on_deadline(self) -> None:
        self._early_since = inf
        self._advance()

    def _advance(self) -> None:
        self._armed_tick = 0  # so that the timer is set once, at the end
        now = self.now()
        while self._tick_heap and self._tick_heap[0] <= now:
            for entry in self._buckets.pop(heapq.heappop(self._tick_heap), ()):
                try:
                    entry.on_timer()
                except Exception:
                    logger.exception("a timer failed")
        self._arm()
        self._flush()

    def _arm(self) -> None:
        self._armed_tick = self._tick_heap[0] if self._tick_heap else inf
        self.next_deadline = self._armed_tick / TICKS
        if self._tick_heap:
            self._set_timer(self.next_deadline, self._on_deadline)
