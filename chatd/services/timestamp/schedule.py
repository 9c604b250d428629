"""Timestamp exchanges in progress: the deadlines that they share, and their lateness."""

from collections import defaultdict
from collections.abc import Callable
from itertools import accumulate
from typing import Final

from msgspec import UNSET, Struct, UnsetType

from chatd.core.session import Session
from chatd.core.timer_wheel import TICKS
from common.messages.timestamp import Exchange
from common.timing.file_format import direction

LATE_NS: Final = 1_000_000
"""A stamp is late from 1 ms after its deadline on: the resolution of the wheel."""

TICK_NS: Final = 1_000_000_000 // TICKS
_BUCKET_NS: Final = 10_000
_BUCKETS_PER_TICK: Final = TICK_NS // _BUCKET_NS


class Schedule(Struct):
    """Deadlines every `interval_ns` (> 0), the next at `due_ns` (monotonic), met in whole ticks.

    A deadline between two ticks is met at the later.
    """

    interval_ns: int
    due_ns: int

    @property
    def tick(self) -> int:
        """The tick of the next deadline."""
        return -(-self.due_ns // TICK_NS)

    def pop_due(self, now: float) -> list[int]:
        """Return the ticks of the deadlines that have come by `now` (s), and wait for the next."""
        due = []
        while (tick := self.tick) <= now * TICKS:
            due.append(tick)
            self.due_ns += self.interval_ns
        return due


class LatenessStats(Struct, frozen=True):
    """How late stamps were sent: how many by 1 ms or more, and percentiles in ms, to 0.01 ms."""

    late: int
    median: float
    p99: float
    max: float


class LatenessHistogram:
    """Every tick's lateness, kept to 0.01 ms."""

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        # Few buckets ever occur, so that this stays small however long the exchange.
        self._buckets: defaultdict[int, int] = defaultdict(int)

    def record(self, tick: int, now: float) -> None:
        """Count what was due at `tick` and is sent at `now` (s), no earlier."""
        self._buckets[int((now * TICKS - tick) * _BUCKETS_PER_TICK)] += 1

    def stats(self) -> LatenessStats:
        """Return how late the stamps were so far."""
        buckets = sorted(self._buckets.items())
        return LatenessStats(
            late=sum(count for bucket, count in buckets if bucket * _BUCKET_NS >= LATE_NS),
            median=_percentile(buckets, 0.5),
            p99=_percentile(buckets, 0.99),
            max=_percentile(buckets, 1.0),
        )


def _percentile(buckets: list[tuple[int, int]], quantile: float) -> float:
    """Return the least lateness (ms) that at least `quantile` of the stamps do not exceed."""
    sums = list(accumulate(count for _, count in buckets))
    if not sums:
        return 0.0
    index = sum(total < quantile * sums[-1] for total in sums)
    return buckets[index][0] * _BUCKET_NS / 1e6


class ActiveExchange:
    """One exchange in progress; `first_tick` is the tick of its first deadline.

    `timed_out` is called when the time of the client after the last stamp is over.
    """

    __slots__ = (
        "_timed_out",
        "count",
        "first_tick",
        "grace_tick",
        "incoming",
        "last_received",
        "last_received_at",
        "lateness",
        "lost_before",
        "outgoing",
        "received",
        "request",
        "send_queue",
        "sent",
        "session",
        "timer",
    )

    def __init__(
        self,
        session: Session,
        request: Exchange,
        lost_before: int,
        timed_out: Callable[["ActiveExchange"], None],
    ) -> None:
        self._timed_out = timed_out
        self.session = session
        self.send_queue = session.send_queue
        self.request = request
        self.lost_before = lost_before
        self.outgoing = direction(session.local_host, session.host)
        self.incoming = direction(session.host, session.local_host)
        self.count = max(1, round(request.duration_s * 1000 / request.interval_ms))
        self.sent = 0
        self.received = 0
        self.last_received: int | UnsetType = UNSET
        self.last_received_at: str | UnsetType = UNSET
        self.lateness = LatenessHistogram()
        self.timer: SharedTimer | None = None
        self.first_tick = 0
        self.grace_tick = 0

    def on_timer(self) -> None:
        """Stop waiting for the client; the wheel calls this."""
        self._timed_out(self)


class SharedTimer:
    """The exchanges whose deadlines coincide: one entry on the wheel for all of them.

    `send_due` is called when a deadline has come.
    """

    __slots__ = ("_send_due", "exchanges", "key", "schedule")

    def __init__(
        self, key: tuple[int, int], schedule: Schedule, send_due: Callable[["SharedTimer"], None]
    ) -> None:
        self._send_due = send_due
        self.key = key
        self.schedule = schedule
        self.exchanges: list[ActiveExchange] = []

    def on_timer(self) -> None:
        """Send what is due; the wheel calls this."""
        self._send_due(self)
