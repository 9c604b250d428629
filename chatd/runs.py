"""Timestamp exchanges under way, and the timers that they share, as the wheel knows them."""

from collections.abc import Callable

from msgspec import UNSET, UnsetType

from chatd.exchange import LatenessHistogram, Schedule
from chatd.session import Session
from common.messages.timestamp import Exchange
from common.timefile import direction


class ActiveExchange:
    """One exchange under way; `first_tick` is the tick of its first deadline.

    `timed_out` is called when the other side had all the time that it gets after the last stamp.
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
        """Stop waiting for the other side; the wheel calls this."""
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
        """Do what is due; the wheel calls this."""
        self._send_due(self)
