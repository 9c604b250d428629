"""Timestamp exchange: a stamp each way at every interval, and a file of both."""

import logging
from collections.abc import Sequence
from typing import Final, Protocol

from msgspec import UNSET, Struct

from chatd.clock import Clock
from chatd.exchange import Grid
from chatd.routes import Route, route
from chatd.session import Session
from chatd.wheel import TICKS, Wheel
from common.exchange import check_id
from common.messages.base import Error, Refusal
from common.messages.timestamp import Exchange, ExchangeEnd, Stamp
from common.timefile import direction
from common.timestamps import format_time, parse_time
from common.units import format_duration

logger: Final = logging.getLogger(__name__)

GRACE: Final = 5.0
"""Seconds (s) after the last stamp in which the other side may still send its own."""

_SECOND_NS: Final = 1_000_000_000


class Journal(Protocol):
    """The file of all exchanges, as the service uses it; nothing here blocks."""

    @property
    def lost(self) -> int:
        """Rows that could not be written so far."""

    async def open(self) -> None:
        """Make ready; raises OSError or ValueError when the file cannot be used."""

    def start_block(self) -> None:
        """Begin a block."""

    def add(self, columns: str, at_ns: int) -> None:
        """Write a stamp soon: a `common.timefile.direction` and ns since the Unix epoch."""

    def end_block(self, duration_ns: int, *, broken_off: bool) -> None:
        """End the block."""


class Terms(Struct, frozen=True):
    """What is granted; intervals and durations in seconds (s)."""

    min_interval: float
    max_duration: float
    max_exchanges: int


class _Run:
    """One exchange under way."""

    __slots__ = (
        "_service",
        "grid",
        "heard",
        "heard_ns",
        "incoming",
        "lost_before",
        "outgoing",
        "received",
        "session",
        "tick",
        "wish",
    )

    def __init__(
        self, service: "Exchanges", session: Session, wish: Exchange, grid: Grid, lost_before: int
    ) -> None:
        self._service = service
        self.session = session
        self.wish = wish
        self.grid = grid
        self.lost_before = lost_before
        self.outgoing = direction(session.local_host, session.host)
        self.incoming = direction(session.host, session.local_host)
        self.received = 0
        self.heard = 0
        self.heard_ns = 0
        self.tick = grid.deadline

    def fire(self) -> None:
        """Do what is due; the wheel calls this."""
        self._service.advance(self)

    def stamp(self, now: float, sent_ns: int) -> Stamp:
        """Return the next stamp, sent at `now` (s, monotonic)."""
        number = self.grid.send(now)
        if not self.heard:
            return Stamp(number, format_time(sent_ns))
        return Stamp(number, format_time(sent_ns), self.heard, format_time(self.heard_ns))


class _Block(Struct):
    """The block of the file that is being written; `start` in s, monotonic."""

    start: float
    runs: int = 0
    is_broken: bool = False


class Exchanges:
    """Runs all exchanges on one wheel, spread over the phases of their interval.

    A loop that was held up sends what is overdue at once: nothing is skipped and no deadline moves.
    All exchanges share one file. A block of it lasts as long as any of them runs.
    """

    def __init__(self, wheel: Wheel, clock: Clock, journal: Journal, terms: Terms) -> None:
        self._wheel = wheel
        self._clock = clock
        self._journal = journal
        self._terms = terms
        self._runs: dict[Session, _Run] = {}
        self._ended: dict[Session, ExchangeEnd] = {}
        self._granted = 0
        self._block = _Block(0.0)

    @property
    def routes(self) -> Sequence[Route]:
        """The messages it serves."""
        return (
            route(Exchange, self.exchange),
            route(Stamp, self.stamp),
            route(ExchangeEnd, self.exchange_end),
        )

    async def exchange(self, session: Session, message: Exchange) -> None:
        """Grant an exchange and start it, or name the range."""
        self._check_terms(message)
        try:
            await self._journal.open()
        except (OSError, ValueError) as fault:
            detail = f"the server cannot keep its time file: {fault}"
            raise Refusal(Error("storage_failed", detail)) from None
        if session.is_closing:
            return
        self._check_room(session)
        if not self._runs:
            self._journal.start_block()
            self._block = _Block(self._clock.monotonic())
        self._block.runs += 1
        interval = message.interval_ms / 1000
        phases = max(1, int(interval * TICKS))
        start = self._wheel.tick_in(0) + self._granted % phases
        self._granted += 1
        count = max(1, round(message.duration_s / interval))
        grid = Grid(start, round(interval * _SECOND_NS), count)
        run = _Run(self, session, message, grid, self._journal.lost)
        self._runs[session] = run
        self._ended.pop(session, None)
        session.send(message)
        session.owed.add()
        self._wheel.add(run.tick, run)
        logger.info("%s: exchange %s begins: %d stamps", session, message.id, grid.count)

    def stamp(self, session: Session, message: Stamp) -> None:
        """Take a stamp of the other side."""
        run = self._runs.get(session)
        if run is None:
            if session in self._ended:
                return
            detail = "no exchange runs here; ask for one with exchange before you send stamps"
            raise Refusal(Error("unsupported", detail))
        try:
            sent_ns = parse_time(message.sent)
        except ValueError as fault:
            raise Refusal(Error("bad_field", f"in stamp: {fault}")) from None
        if run.received >= run.grid.count:
            detail = f"all {run.grid.count} stamps of this exchange have come; send exchange_end"
            raise Refusal(Error("too_many_requests", detail))
        run.received += 1
        if message.n > run.heard:
            run.heard, run.heard_ns = message.n, session.read_ns
        self._journal.add(run.incoming, sent_ns)

    def exchange_end(self, session: Session, _message: ExchangeEnd) -> None:
        """End the exchange, if it still runs, and answer with the counts."""
        run = self._runs.get(session)
        if run is not None:
            self._finish(run)
        counts = self._ended.get(session)
        if counts is None:
            raise Refusal(Error("unsupported", "no exchange ran here, so there is none to end"))
        session.send(counts)

    def closed(self, session: Session) -> None:
        """End the exchange of a session that is gone."""
        run = self._runs.get(session)
        if run is not None:
            self._finish(run)
        self._ended.pop(session, None)

    def advance(self, run: _Run) -> None:
        """Send every stamp of `run` that is due, and wait for the next."""
        grid = run.grid
        if not grid.left:
            self._finish(run)
            return
        now, sent_ns = self._clock.monotonic(), self._clock.wall_ns()
        while grid.left and grid.deadline / TICKS <= now:
            run.session.send(run.stamp(now, sent_ns))
            self._journal.add(run.outgoing, sent_ns)
        if grid.left:
            run.tick = grid.deadline
        else:
            run.session.owed.done()
            run.tick = self._wheel.tick_in(GRACE)
        self._wheel.add(run.tick, run)

    def _check_terms(self, message: Exchange) -> None:
        terms = self._terms
        interval = message.interval_ms / 1000
        try:
            check_id(message.id)
        except ValueError as fault:
            raise Refusal(Error("bad_field", f"in exchange: {fault}")) from None
        if not terms.min_interval <= interval <= terms.max_duration:
            low, high = format_duration(terms.min_interval), format_duration(terms.max_duration)
            detail = f"in exchange: interval_ms is out of range: from {low} to {high}"
            raise Refusal(Error("bad_field", detail))
        if not interval <= message.duration_s <= terms.max_duration:
            high = format_duration(terms.max_duration)
            detail = f"in exchange: duration_s is out of range: from one interval to {high}"
            raise Refusal(Error("bad_field", detail))

    def _check_room(self, session: Session) -> None:
        if session in self._runs:
            raise Refusal(Error("unsupported", "an exchange runs here; end it with exchange_end"))
        if len(self._runs) >= self._terms.max_exchanges:
            detail = f"all {self._terms.max_exchanges} exchanges are taken; try again later"
            raise Refusal(Error("too_many_requests", detail))

    def _finish(self, run: _Run) -> None:
        del self._runs[run.session]
        self._wheel.remove([(run.tick, run)])
        if run.grid.left:
            run.session.owed.done()
        lost = self._journal.lost - run.lost_before
        counts = ExchangeEnd(run.grid.sent, run.received, lost or UNSET)
        self._ended[run.session] = counts
        self._block.is_broken |= run.grid.left > 0
        if not self._runs:
            self._end_block(run.wish.duration_s)
        late = run.grid.punctuality()
        logger.info(
            "%s: exchange %s %s: %d of %d sent, %d received, %d rows not written; "
            "%d late, lateness in ms: median %.2f, p99 %.2f, max %.2f",
            run.session,
            run.wish.id,
            "broke off" if run.grid.left else "is over",
            run.grid.sent,
            run.grid.count,
            run.received,
            lost,
            late.late,
            late.median,
            late.p99,
            late.max,
        )

    def _end_block(self, planned: float) -> None:
        block = self._block
        is_as_planned = block.runs == 1 and not block.is_broken
        elapsed = self._clock.monotonic() - block.start
        seconds = planned if is_as_planned else round(elapsed, 3)
        self._journal.end_block(round(seconds * _SECOND_NS), broken_off=block.is_broken)
