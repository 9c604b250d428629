"""Timestamp exchanges under way, and the phases that they share, as the wheel knows them."""

from collections.abc import Callable

from msgspec import UNSET, UnsetType

from chatd.exchange import Grid, Lateness
from chatd.session import Session
from common.messages.timestamp import Exchange
from common.timefile import direction


class Run:
    """One exchange under way; `first` is the tick of its first deadline.

    `give_up` is called when the other side had all the time that it gets after the last stamp.
    """

    __slots__ = (
        "_give_up",
        "count",
        "first",
        "grace",
        "heard",
        "heard_at",
        "incoming",
        "lateness",
        "lost_before",
        "outgoing",
        "phase",
        "received",
        "send_queue",
        "sent",
        "session",
        "wish",
    )

    def __init__(
        self,
        session: Session,
        wish: Exchange,
        lost_before: int,
        give_up: Callable[["Run"], None],
    ) -> None:
        self._give_up = give_up
        self.session = session
        self.send_queue = session.send_queue
        self.wish = wish
        self.lost_before = lost_before
        self.outgoing = direction(session.local_host, session.host)
        self.incoming = direction(session.host, session.local_host)
        self.count = max(1, round(wish.duration_s * 1000 / wish.interval_ms))
        self.sent = 0
        self.received = 0
        self.heard: int | UnsetType = UNSET
        self.heard_at: str | UnsetType = UNSET
        self.lateness = Lateness()
        self.phase: Phase | None = None
        self.first = 0
        self.grace = 0

    def fire(self) -> None:
        """Give up waiting for the other side; the wheel calls this."""
        self._give_up(self)


class Phase:
    """The exchanges whose deadlines coincide: one entry on the wheel for all of them.

    `advance` is called when a deadline has come.
    """

    __slots__ = ("_advance", "grid", "key", "runs")

    def __init__(
        self, key: tuple[int, int], grid: Grid, advance: Callable[["Phase"], None]
    ) -> None:
        self._advance = advance
        self.key = key
        self.grid = grid
        self.runs: list[Run] = []

    def fire(self) -> None:
        """Do what is due; the wheel calls this."""
        self._advance(self)
