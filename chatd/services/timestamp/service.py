"""Timestamp exchange: a stamp each way at every interval, and a file of both."""

import logging
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from msgspec import UNSET, Struct

from chatd.config import TimestampConfig
from chatd.core.router import Route, route
from chatd.core.session import Session
from chatd.core.timer_wheel import TimerWheel
from chatd.services.timestamp.schedule import TICK_NS, ActiveExchange, Schedule, SharedTimer
from common.messages.base import Error, RejectedError
from common.messages.timestamp import Exchange, ExchangeEnd, Stamp
from common.names import check_id
from common.protocol.timestamps import check_time, format_time
from common.system.clock import Clock
from common.values import format_duration

logger: Final = logging.getLogger(__name__)

GRACE: Final = 5.0
"""Seconds (s) after the last stamp in which the other side may still send its own."""

_STAMPS_PER_FLUSH: Final = 32
"""Stamps that are made before the first of them is written, at 1 us to make and 4 to write each.

So the last is dated some 0.1 ms early, where that many are due at once.
"""

_SECOND_NS: Final = 1_000_000_000


class ExchangeRecorder(Protocol):
    """The time file of all exchanges, as the service uses it; it never blocks."""

    @property
    def lost(self) -> int:
        """Rows that could not be written so far."""

    async def open(self) -> None:
        """Make ready; raises OSError or ValueError when the file cannot be used."""

    def start_block(self) -> None:
        """Begin a block."""

    def add(self, row: str, /) -> None:
        """Write a stamp soon; see `common.timing.file_format.format_rows`."""

    def end_block(self, duration_ns: int, *, broken_off: bool) -> None:
        """End the block."""


class _Block(Struct):
    """The block of the file that is being written; `start` in s, monotonic."""

    start: float
    exchanges: int = 0
    is_incomplete: bool = False


class Exchanges:
    """Runs all exchanges on one wheel, spread over the ticks of their interval.

    After a delay of the loop, overdue stamps are sent at once: none is skipped and no deadline
    moves. All exchanges share one file; a block of it lasts as long as any of them runs. `flush`
    writes everything queued for clients, at once.
    """

    def __init__(
        self,
        wheel: TimerWheel,
        clock: Clock,
        time_file: ExchangeRecorder,
        config: TimestampConfig,
        flush: Callable[[], None],
    ) -> None:
        self._wheel = wheel
        self._clock = clock
        self._time_file = time_file
        self._config = config
        self._flush = flush
        self._active: dict[Session, ActiveExchange] = {}
        self._timers: dict[tuple[int, int], SharedTimer] = {}
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
        """Start an exchange, or refuse it with the range that is allowed."""
        self._check_limits(message)
        try:
            await self._time_file.open()
        except (OSError, ValueError) as error:
            detail = f"the server cannot write its time file: {error}"
            raise RejectedError(Error("storage_failed", detail)) from None
        if session.is_closing:
            return
        self._check_capacity(session)
        if not self._active:
            self._time_file.start_block()
            self._block = _Block(self._clock.monotonic())
        self._block.exchanges += 1
        active = ActiveExchange(session, message, self._time_file.lost, self.finish)
        self._active[session] = active
        self._ended.pop(session, None)
        session.send(message)
        session.pending_replies.add()
        self._join_timer(active)
        logger.info("%s: exchange %s starts: %d stamps", session, message.id, active.count)

    def stamp(self, session: Session, message: Stamp) -> None:
        """Record a stamp of the client."""
        active = self._active.get(session)
        if active is None:
            if session in self._ended:
                return
            detail = "no exchange is running; start one with exchange before you send stamps"
            raise RejectedError(Error("unsupported", detail))
        try:
            check_time(message.sent)
        except ValueError as error:
            raise RejectedError(Error("bad_field", f"in stamp: {error}")) from None
        if active.received >= active.count:
            detail = f"all {active.count} stamps of this exchange are received; send exchange_end"
            raise RejectedError(Error("too_many_requests", detail))
        active.received += 1
        if active.last_received is UNSET or message.n > active.last_received:
            active.last_received, active.last_received_at = message.n, format_time(session.read_ns)
        write_row = self._time_file.add
        write_row(active.incoming + message.sent)

    def exchange_end(self, session: Session, _message: ExchangeEnd) -> None:
        """End the exchange if it is still running, and answer with the counts."""
        active = self._active.get(session)
        if active is not None:
            self.finish(active)
        counts = self._ended.get(session)
        if counts is None:
            raise RejectedError(Error("unsupported", "there is no exchange to end"))
        session.send(counts)

    def closed(self, session: Session) -> None:
        """End the exchange of a session that is gone."""
        active = self._active.get(session)
        if active is not None:
            self.finish(active)
        self._ended.pop(session, None)

    def send_due(self, timer: SharedTimer) -> None:
        """Send every stamp of `timer` that is due, and wait for the next."""
        monotonic, wall_ns, write_row = (
            self._clock.monotonic,
            self._clock.wall_ns,
            self._time_file.add,
        )
        due = timer.schedule.pop_due(monotonic())
        # A copy, because an exchange that ends leaves the timer.
        for number, active in enumerate(tuple(timer.exchanges), 1):
            now, sent = monotonic(), format_time(wall_ns())
            for tick in due:
                if active.first_tick <= tick and active.sent < active.count:
                    active.sent += 1
                    active.send_queue.send(
                        Stamp(active.sent, sent, active.last_received, active.last_received_at)
                    )
                    active.lateness.record(tick, now)
                    write_row(active.outgoing + sent)
            if not number % _STAMPS_PER_FLUSH:
                self._flush()
            if active.sent == active.count and active.timer is not None:
                self._start_grace(active)
        self._flush()
        if timer.exchanges:
            self._wheel.add(timer.schedule.tick, timer)

    def finish(self, active: ActiveExchange) -> None:
        """End `active`; it is interrupted if not every stamp was sent."""
        del self._active[active.session]
        is_incomplete = active.sent < active.count
        if is_incomplete:
            self._leave_timer(active)
        else:
            self._wheel.remove([(active.grace_tick, active)])
        lost = self._time_file.lost - active.lost_before
        self._ended[active.session] = ExchangeEnd(active.sent, active.received, lost or UNSET)
        self._block.is_incomplete |= is_incomplete
        if not self._active:
            self._end_block(active.request.duration_s)
        stats = active.lateness.stats()
        logger.info(
            "%s: exchange %s %s: %d of %d sent, %d received, %d rows not written; "
            "%d late, lateness in ms: median %.2f, p99 %.2f, max %.2f",
            active.session,
            active.request.id,
            "was interrupted" if is_incomplete else "is complete",
            active.sent,
            active.count,
            active.received,
            lost,
            stats.late,
            stats.median,
            stats.p99,
            stats.max,
        )

    def _start_grace(self, active: ActiveExchange) -> None:
        """Give the client time to send its last stamps."""
        self._leave_timer(active)
        active.grace_tick = self._wheel.tick_in(GRACE)
        self._wheel.add(active.grace_tick, active)

    def _join_timer(self, active: ActiveExchange) -> None:
        """Spread exchanges that start together over the ticks of an interval."""
        interval_ns = round(active.request.interval_ms * 1e6)
        ticks = max(1, interval_ns // TICK_NS)
        start_ns = (self._wheel.tick_in(0) + self._granted % ticks) * TICK_NS
        self._granted += 1
        schedule = Schedule(interval_ns, start_ns + interval_ns)
        active.first_tick = schedule.tick
        key = interval_ns, start_ns % interval_ns
        active.timer = self._timers.get(key)
        if active.timer is None:
            active.timer = self._timers[key] = SharedTimer(key, schedule, self.send_due)
            self._wheel.add(schedule.tick, active.timer)
        active.timer.exchanges.append(active)

    def _leave_timer(self, active: ActiveExchange) -> None:
        """Send no more stamps; remove a timer without exchanges."""
        timer, active.timer = active.timer, None
        if timer is None:
            return
        active.session.pending_replies.done()
        timer.exchanges.remove(active)
        if not timer.exchanges:
            del self._timers[timer.key]
            self._wheel.remove([(timer.schedule.tick, timer)])

    def _check_limits(self, message: Exchange) -> None:
        config = self._config
        interval = message.interval_ms / 1000
        try:
            check_id(message.id)
        except ValueError as error:
            raise RejectedError(Error("bad_field", f"in exchange: {error}")) from None
        if not config.min_interval <= interval <= config.max_duration:
            low, high = format_duration(config.min_interval), format_duration(config.max_duration)
            detail = f"in exchange: interval_ms must be between {low} and {high}"
            raise RejectedError(Error("bad_field", detail))
        if not interval <= message.duration_s <= config.max_duration:
            high = format_duration(config.max_duration)
            detail = f"in exchange: duration_s must be between one interval and {high}"
            raise RejectedError(Error("bad_field", detail))

    def _check_capacity(self, session: Session) -> None:
        if session in self._active:
            raise RejectedError(
                Error("unsupported", "an exchange is already running; end it with exchange_end")
            )
        if len(self._active) >= self._config.max_exchanges:
            detail = f"all {self._config.max_exchanges} exchanges are in use; try again later"
            raise RejectedError(Error("too_many_requests", detail))

    def _end_block(self, planned: float) -> None:
        block = self._block
        is_as_planned = block.exchanges == 1 and not block.is_incomplete
        elapsed = self._clock.monotonic() - block.start
        seconds = planned if is_as_planned else round(elapsed, 3)
        self._time_file.end_block(round(seconds * _SECOND_NS), broken_off=block.is_incomplete)
