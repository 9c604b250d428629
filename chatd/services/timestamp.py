"""Timestamp exchange: a stamp each way at every interval, and a file of both."""

import logging
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from msgspec import UNSET, Struct

from chatd.clock import Clock
from chatd.exchange import TICK_NS, Grid
from chatd.routes import Route, route
from chatd.runs import Phase, Run
from chatd.session import Session
from chatd.wheel import Wheel
from common.exchange import check_id
from common.messages.base import Error, Refusal
from common.messages.timestamp import Exchange, ExchangeEnd, Stamp
from common.timestamps import check_time, format_time
from common.units import format_duration

logger: Final = logging.getLogger(__name__)

GRACE: Final = 5.0
"""Seconds (s) after the last stamp in which the other side may still send its own."""

_WRITTEN_AT_ONCE: Final = 32
"""Stamps that are made before the first of them is written, at 1 us to make and 4 to write each.

So the last is dated some 0.1 ms early, where that many are due at once.
"""

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

    def add(self, row: str, /) -> None:
        """Write a stamp soon; see `common.timefile.format_rows`."""

    def end_block(self, duration_ns: int, *, broken_off: bool) -> None:
        """End the block."""


class Terms(Struct, frozen=True):
    """What is granted; intervals and durations in seconds (s)."""

    min_interval: float
    max_duration: float
    max_exchanges: int


class _Block(Struct):
    """The block of the file that is being written; `start` in s, monotonic."""

    start: float
    runs: int = 0
    is_broken: bool = False


class Exchanges:
    """Runs all exchanges on one wheel, spread over the phases of their interval.

    A loop that was held up sends what is overdue at once: nothing is skipped and no deadline moves.
    All exchanges share one file. A block of it lasts as long as any of them runs. `flush` writes
    what was sent, at once.
    """

    def __init__(
        self,
        wheel: Wheel,
        clock: Clock,
        journal: Journal,
        terms: Terms,
        flush: Callable[[], None],
    ) -> None:
        self._wheel = wheel
        self._clock = clock
        self._journal = journal
        self._terms = terms
        self._flush = flush
        self._runs: dict[Session, Run] = {}
        self._phases: dict[tuple[int, int], Phase] = {}
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
        run = Run(session, message, self._journal.lost, self.finish)
        self._runs[session] = run
        self._ended.pop(session, None)
        session.send(message)
        session.pending_replies.add()
        self._join_phase(run)
        logger.info("%s: exchange %s begins: %d stamps", session, message.id, run.count)

    def stamp(self, session: Session, message: Stamp) -> None:
        """Take a stamp of the other side."""
        run = self._runs.get(session)
        if run is None:
            if session in self._ended:
                return
            detail = "no exchange runs here; ask for one with exchange before you send stamps"
            raise Refusal(Error("unsupported", detail))
        try:
            check_time(message.sent)
        except ValueError as fault:
            raise Refusal(Error("bad_field", f"in stamp: {fault}")) from None
        if run.received >= run.count:
            detail = f"all {run.count} stamps of this exchange have come; send exchange_end"
            raise Refusal(Error("too_many_requests", detail))
        run.received += 1
        if run.heard is UNSET or message.n > run.heard:
            run.heard, run.heard_at = message.n, format_time(session.read_ns)
        keep = self._journal.add
        keep(run.incoming + message.sent)

    def exchange_end(self, session: Session, _message: ExchangeEnd) -> None:
        """End the exchange, if it still runs, and answer with the counts."""
        run = self._runs.get(session)
        if run is not None:
            self.finish(run)
        counts = self._ended.get(session)
        if counts is None:
            raise Refusal(Error("unsupported", "no exchange ran here, so there is none to end"))
        session.send(counts)

    def closed(self, session: Session) -> None:
        """End the exchange of a session that is gone."""
        run = self._runs.get(session)
        if run is not None:
            self.finish(run)
        self._ended.pop(session, None)

    def advance(self, phase: Phase) -> None:
        """Send every stamp of `phase` that is due, and wait for the next."""
        monotonic, wall_ns, keep = self._clock.monotonic, self._clock.wall_ns, self._journal.add
        due = phase.grid.pass_due(monotonic())
        # In a copy, since whoever turns out to be gone leaves the phase.
        for number, run in enumerate(tuple(phase.runs), 1):
            now, sent = monotonic(), format_time(wall_ns())
            for tick in due:
                if run.first <= tick and run.sent < run.count:
                    run.sent += 1
                    run.send_queue.send(Stamp(run.sent, sent, run.heard, run.heard_at))
                    run.lateness.note(tick, now)
                    keep(run.outgoing + sent)
            if not number % _WRITTEN_AT_ONCE:
                self._flush()
            if run.sent == run.count and run.phase is not None:
                self._wait_for_rest(run)
        self._flush()
        if phase.runs:
            self._wheel.add(phase.grid.tick, phase)

    def finish(self, run: Run) -> None:
        """End `run`, broken off if not all was sent."""
        del self._runs[run.session]
        is_broken = run.sent < run.count
        if is_broken:
            self._leave_phase(run)
        else:
            self._wheel.remove([(run.grace, run)])
        lost = self._journal.lost - run.lost_before
        self._ended[run.session] = ExchangeEnd(run.sent, run.received, lost or UNSET)
        self._block.is_broken |= is_broken
        if not self._runs:
            self._end_block(run.wish.duration_s)
        late = run.lateness.punctuality()
        logger.info(
            "%s: exchange %s %s: %d of %d sent, %d received, %d rows not written; "
            "%d late, lateness in ms: median %.2f, p99 %.2f, max %.2f",
            run.session,
            run.wish.id,
            "broke off" if is_broken else "is over",
            run.sent,
            run.count,
            run.received,
            lost,
            late.late,
            late.median,
            late.p99,
            late.max,
        )

    def _wait_for_rest(self, run: Run) -> None:
        """Give the other side time to send what it has still to send."""
        self._leave_phase(run)
        run.grace = self._wheel.tick_in(GRACE)
        self._wheel.add(run.grace, run)

    def _join_phase(self, run: Run) -> None:
        """Spread those who begin at once over the ticks of an interval."""
        interval_ns = round(run.wish.interval_ms * 1e6)
        ticks = max(1, interval_ns // TICK_NS)
        start_ns = (self._wheel.tick_in(0) + self._granted % ticks) * TICK_NS
        self._granted += 1
        grid = Grid(interval_ns, start_ns + interval_ns)
        run.first = grid.tick
        key = interval_ns, start_ns % interval_ns
        run.phase = self._phases.get(key)
        if run.phase is None:
            run.phase = self._phases[key] = Phase(key, grid, self.advance)
            self._wheel.add(grid.tick, run.phase)
        run.phase.runs.append(run)

    def _leave_phase(self, run: Run) -> None:
        """Have no more stamps sent; a phase without runs is over."""
        phase, run.phase = run.phase, None
        if phase is None:
            return
        run.session.pending_replies.done()
        phase.runs.remove(run)
        if not phase.runs:
            del self._phases[phase.key]
            self._wheel.remove([(phase.grid.tick, phase)])

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

    def _end_block(self, planned: float) -> None:
        block = self._block
        is_as_planned = block.runs == 1 and not block.is_broken
        elapsed = self._clock.monotonic() - block.start
        seconds = planned if is_as_planned else round(elapsed, 3)
        self._journal.end_block(round(seconds * _SECOND_NS), broken_off=block.is_broken)
