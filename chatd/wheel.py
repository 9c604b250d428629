"""A hundred thousand timers behind one timer of the event loop."""

import heapq
import logging
from collections.abc import Callable, Iterable
from math import ceil, inf
from typing import Final, Protocol

logger: Final = logging.getLogger(__name__)

TICKS: Final = 1_000
"""Buckets in a second: 1 ms each, the resolution of the loop's own timers."""

_PATIENCE: Final = 0.02
"""Seconds (s) in which the wheel may be turned again and again before its alarm goes off.

Behind that, whoever else waits for the loop comes first: a full core would never read again.
"""


class Due(Protocol):
    """What is put on the wheel."""

    def fire(self) -> None:
        """Do what was due; an exception is logged and holds up nobody else."""


class Wheel:
    """Fires each entry at its time or up to 1 ms later, never earlier; late ones all at once.

    Entries of the same millisecond share a bucket: adding one costs a dictionary look-up and an
    append, where a timer of the loop would cost three times the CPU and five times the memory.
    `monotonic` tells seconds (s); `set_alarm` has a function run at a moment of it, and no more at
    the one before. Whoever is about to hold up the loop may look at `due` and `turn` the wheel
    first. `flush` is called behind that, for what entries have to say to leave at once.
    """

    def __init__(
        self,
        monotonic: Callable[[], float],
        set_alarm: Callable[[float, Callable[[], None]], None],
        flush: Callable[[], None] = lambda: None,
    ) -> None:
        self._monotonic = monotonic
        self._set_alarm = set_alarm
        self._flush = flush
        self._buckets: dict[int, list[Due]] = {}
        self._order: list[int] = []
        self._armed: float = inf
        self.due = inf
        """From when on to `turn` it: monotonic, in s; infinity for not before the alarm."""
        self._since = inf

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))

    def now(self) -> int:
        """Return the last tick that has come."""
        moment = self._monotonic()
        tick = int(moment * TICKS)
        # There and back in floats may come out a tick short, for ever where the clock stands still.
        return tick + 1 if (tick + 1) / TICKS <= moment else tick

    def tick_in(self, delay: float) -> int:
        """Return the tick at which what is due `delay` seconds (s, >= 0) from now will fire."""
        return ceil((self._monotonic() + delay) * TICKS)

    def add(self, tick: int, entry: Due) -> None:
        """Fire `entry` at `tick`."""
        bucket = self._buckets.get(tick)
        if bucket is not None:
            bucket.append(entry)
            return
        self._buckets[tick] = [entry]
        heapq.heappush(self._order, tick)
        if tick < self._armed:
            self._arm()

    def remove(self, entries: Iterable[tuple[int, Due]]) -> None:
        """Take entries off, each given with its tick; those that have fired do not matter."""
        going: dict[int, set[int]] = {}
        for tick, entry in entries:
            going.setdefault(tick, set()).add(id(entry))
        for tick, identities in going.items():
            left = [entry for entry in self._buckets.get(tick, ()) if id(entry) not in identities]
            if left:
                self._buckets[tick] = left
            else:
                self._buckets.pop(tick, None)

    def turn(self) -> None:
        """Fire what is due, before the alarm goes off."""
        self._since = min(self._since, self._monotonic())
        self._turn()
        if self._monotonic() - self._since > _PATIENCE:
            self.due = inf

    def _go_off(self) -> None:
        self._since = inf
        self._turn()

    def _turn(self) -> None:
        self._armed = 0  # so that the alarm is set once, at the end
        now = self.now()
        while self._order and self._order[0] <= now:
            for entry in self._buckets.pop(heapq.heappop(self._order), ()):
                try:
                    entry.fire()
                except Exception:
                    logger.exception("a timer failed")
        self._arm()
        self._flush()

    def _arm(self) -> None:
        self._armed = self._order[0] if self._order else inf
        self.due = self._armed / TICKS
        if self._order:
            self._set_alarm(self.due, self._go_off)
