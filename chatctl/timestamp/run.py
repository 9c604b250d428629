"""Runs a timestamp exchange, over as many connections as it takes.

`ExchangeRun` reconnects until all stamps are sent. `ExchangeConnection` is the part on one
connection: the server grants the exchange, stamps go both ways until all have arrived, and both
sides exchange their counts.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from chatctl.client import RefusedError
from chatctl.client.errors import ConnectionLostError
from chatctl.client.events import Reconnected
from chatctl.client.reconnect import Reconnector
from chatctl.errors import AnswerTimeoutError, CannotConnectError, ClientError, ProtocolError
from chatctl.timestamp.connection import StampProtocol
from chatctl.timestamp.stamps import Pacer, StampClock, StampRecorder, StampRows, TimerSource
from common.messages.base import Error, Message
from common.messages.timestamp import Exchange, ExchangeEnd, Stamp
from common.protocol.codec import InvalidLine, encode
from common.system.timerfd import TimerFD
from common.timing.record import ExchangeRecord

END_TIMEOUT: Final = 2.0
"""How long (s) to wait for the server's counts."""


class ExchangeConnection:
    """Exchanges the stamps that `record` still lacks, and writes them to a block of `file`."""

    def __init__(
        self,
        protocol: StampProtocol,
        record: ExchangeRecord,
        file: StampRows,
        clock: StampClock,
        timer: TimerSource,
    ) -> None:
        self.counts: ExchangeEnd | None = None
        """The counts of the server; None if it sent none."""
        self._protocol = protocol
        self._interval_ns = record.interval_ns
        self._file = file
        self._clock = clock
        self._recorder = StampRecorder(protocol, record, file, clock)
        self._pacer = Pacer(clock.monotonic_ns, timer, record.interval_ns, self._send)
        self._began_ns = 0
        loop = asyncio.get_running_loop()
        self._granted: asyncio.Future[None] = loop.create_future()
        self._completed: asyncio.Future[None] = loop.create_future()
        self._counts_received: asyncio.Future[None] = loop.create_future()
        protocol.set_handlers(self._on_message, self._fail)

    def on_timer(self) -> None:
        """Send the stamps that are due; called when the timer expires."""
        self._pacer.on_timer()

    async def request(self, identity: str, within: float) -> None:
        """Request the exchange and wait up to `within` s; it starts when granted.

        Raises RefusedError, AnswerTimeoutError, ProtocolError, ConnectionLostError.
        """
        interval_ms = self._interval_ns / 1e6
        duration_s = self._recorder.expected * interval_ms / 1e3
        self._protocol.write(
            encode(Exchange(identity, _compact_number(interval_ms), _compact_number(duration_s)))
        )
        try:
            async with asyncio.timeout(within):
                await self._granted
        except TimeoutError:
            detail = f"the server did not answer within {within:g} s"
            raise AnswerTimeoutError(detail) from None

    async def finish(self) -> None:
        """Wait for the last stamp; close the block, even after an error or when cancelled.

        Raises ProtocolError, ConnectionLostError.
        """
        is_complete = False
        try:
            await self._completed
            is_complete = True
        finally:
            self._pacer.stop()
            await self._exchange_counts()
            elapsed_ns = self._clock.monotonic_ns() - self._began_ns
            planned_ns = self._recorder.expected * self._interval_ns
            self._file.end_block(
                planned_ns if is_complete else elapsed_ns, broken_off=not is_complete
            )

    async def _exchange_counts(self) -> None:
        """Send our counts, and wait for those of the server."""
        if not self._counts_received.done():
            self._protocol.write(encode(ExchangeEnd(self._recorder.sent, self._recorder.received)))
            await asyncio.wait([self._counts_received], timeout=END_TIMEOUT)

    def _on_message(self, message: Message | InvalidLine, received_ns: int) -> None:
        match message:
            case Stamp():
                self._recorder.receive(message, received_ns)
                self._check_complete()
            case Exchange():
                self._on_granted()
            case ExchangeEnd():
                self.counts = message
                _resolve(self._counts_received)
            case Error():
                self._fail(
                    ConnectionLostError(message.detail)
                    if self._granted.done()
                    else RefusedError(message)
                )
            case InvalidLine(error=error) if error.reason != "unknown_code":
                raise ProtocolError(
                    f"{self._protocol.host} does not speak the chatd protocol ({error.detail})"
                )

    def _on_granted(self) -> None:
        if _resolve(self._granted):
            self._began_ns = self._clock.monotonic_ns()
            self._file.start_block()
            self._pacer.start(self._recorder.expected)

    def _send(self, now_ns: int, late_ns: int) -> None:
        self._recorder.send(now_ns, late_ns)
        self._check_complete()

    def _check_complete(self) -> None:
        if self._recorder.is_complete:
            _resolve(self._completed)

    def _fail(self, error: Exception) -> None:
        """Fail the step that is being awaited; the server will send no counts."""
        self._pacer.stop()
        _resolve(self._counts_received)
        if not _resolve(self._granted, error):
            _resolve(self._completed, error)


def _resolve(step: "asyncio.Future[None]", error: Exception | None = None) -> bool:
    """Complete a step, or fail it with `error`; return False if it was complete already."""
    if step.done():
        return False
    if error is None:
        step.set_result(None)
    else:
        step.set_exception(error)
        step.exception()  # marks it as retrieved; nobody may be waiting
    return True


def _compact_number(number: float) -> float | int:
    """Return an int if `number` is whole, so that JSON shows no ``.0``."""
    return int(number) if number.is_integer() else number


_TRANSIENT_REASONS: Final = frozenset(
    {"too_many_requests", "server_full", "shutting_down", "storage_failed", "internal_error"}
)
"""Refusals that may be over in a moment."""


class Outage(Struct, frozen=True):
    """The connection was lost at `at_ns` (since the Unix epoch) because of `reason`.

    The exchange went on `away_ns` later; None when it never did.
    """

    at_ns: int
    away_ns: int | None
    reason: str


class ServerCounts(Struct):
    """What the server counted on the connections on which it said so."""

    sent: int = 0
    received: int = 0
    unwritten: int = 0

    def add(self, end: ExchangeEnd) -> None:
        """Add the counts of one connection."""
        self.sent += end.sent or 0
        self.received += end.received or 0
        self.unwritten += end.unwritten or 0


class ExchangeRun:
    """Fills `record`; a connection that is lost comes back and carries what is still to be sent.

    `answer_timeout` (s) is for the server's grant; `notify` is called when the exchange goes on
    after a loss.
    """

    def __init__(
        self,
        identity: str,
        record: ExchangeRecord,
        *,
        file: StampRows,
        clock: StampClock,
        reconnector: Reconnector[StampProtocol],
        answer_timeout: float,
        notify: Callable[[Reconnected], object],
    ) -> None:
        self.outages: list[Outage] = []
        self.server: ServerCounts | None = None
        """The counts of the server over all connections; None if it sent none."""
        self.is_interrupted = False
        self._identity = identity
        self._record = record
        self._file = file
        self._clock = clock
        self._reconnector = reconnector
        self._timeout = answer_timeout
        self._notify = notify
        self._timer = TimerFD()
        self._lost_since: tuple[int, str] | None = None

    async def run(self) -> str:
        """Run to the end; return why it ended early, or "".

        Cancelling ends the run early, with all files in order. Raises CannotConnectError,
        RefusedError, AnswerTimeoutError and ProtocolError if no stamp was sent.
        """
        try:
            protocol = await self._reconnector.connect()
            while not await self._run_connection(protocol):
                protocol = await self._reconnector.reconnect(immediately=False)
        except asyncio.CancelledError:
            self.is_interrupted = True
            _uncancel()
        except ClientError as error:
            if not self._record.sent_ns:
                raise
            return str(error)
        finally:
            self._timer.close()
            self._end_outage(None)
        return ""

    async def _run_connection(self, protocol: StampProtocol) -> bool:
        """Exchange over `protocol`; return whether all stamps are sent."""
        loop = asyncio.get_running_loop()
        connection = ExchangeConnection(
            protocol, self._record, self._file, self._clock, self._timer
        )
        loop.add_reader(self._timer, connection.on_timer)
        try:
            await connection.request(self._identity, self._timeout)
            self._end_outage(time.monotonic_ns())
            await connection.finish()
        except (ConnectionLostError, ClientError) as error:
            self._on_connection_lost(error)
        finally:
            loop.remove_reader(self._timer)
            protocol.close()
            self._add_counts(connection.counts)
        return len(self._record.sent_ns) == self._record.expected

    def _add_counts(self, end: ExchangeEnd | None) -> None:
        if end is not None:
            self.server = self.server or ServerCounts()
            self.server.add(end)

    def _on_connection_lost(self, error: ConnectionLostError | ClientError) -> None:
        """Note the loss of the connection; raise if reconnecting is useless."""
        if isinstance(error, ConnectionLostError) and not self._record.sent_ns:
            detail = f"the connection was lost before the exchange began: {error}"
            raise CannotConnectError(detail) from None
        is_transient = isinstance(error, ConnectionLostError | AnswerTimeoutError) or (
            isinstance(error, RefusedError) and error.reason in _TRANSIENT_REASONS
        )
        if not is_transient or not self._record.sent_ns:
            raise error
        self._reconnector.connection_lost(str(error))
        if self._lost_since is None:
            self._lost_since = time.monotonic_ns(), str(error)

    def _end_outage(self, now_ns: int | None) -> None:
        """Record the end of an outage, or, without `now_ns`, that it never ended."""
        if self._lost_since is None:
            return
        lost_ns, reason = self._lost_since
        self._lost_since = None
        away_ns = None if now_ns is None else now_ns - lost_ns
        self.outages.append(Outage(self._clock.wall_ns(lost_ns), away_ns, reason))
        if away_ns is not None:
            self._reconnector.connected()
            self._notify(Reconnected(away_ns / 1e9))


def _uncancel() -> None:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
