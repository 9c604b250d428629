"""Sending and recording stamps on an absolute schedule; no sockets, no event loop.

The `Pacer` calls at fixed deadlines: a late stamp is sent late, none is skipped or moved. The
`StampRecorder` builds, sends, receives and records stamps.
"""

from collections.abc import Callable
from typing import Final, Protocol

from msgspec import UNSET

from chatctl.errors import ProtocolError
from common.messages.timestamp import Stamp
from common.protocol.codec import encode
from common.protocol.timestamps import format_time, parse_time
from common.timing.file_format import direction
from common.timing.record import ExchangeRecord, ReceivedStamp, check_last_received

_BLANK: Final = format_time(0)


class StampClock(Protocol):
    """The clock of an exchange; see `common.system.clock`."""

    def monotonic_ns(self) -> int:
        """Return ns since an arbitrary moment."""

    def wall_ns(self, monotonic_ns: int) -> int:
        """Convert a monotonic time to ns since the Unix epoch."""


class StampRows(Protocol):
    """The time file of an exchange; see `common.system.time_file`."""

    def start_block(self) -> None:
        """Start a block."""

    def add(self, row: str) -> None:
        """Queue a row; see `common.timing.file_format.format_rows`."""

    def end_block(self, duration_ns: int, *, broken_off: bool) -> None:
        """End the block."""


class StampWriter(Protocol):
    """The connection that carries stamps; see `chatctl.timestamp.connection`."""

    host: str
    local_host: str

    def write(self, line: bytes) -> None:
        """Send bytes at once."""


class StampRecorder:
    """Sends and receives the stamps of one connection, and adds them to `record` and `file`.

    Our own numbers continue where the record ends. Those of the server start again on each
    connection; in the record they continue after a hole, so that no stamp becomes the neighbour of
    one from before the loss.
    """

    def __init__(
        self, writer: StampWriter, record: ExchangeRecord, file: StampRows, clock: StampClock
    ) -> None:
        self.sent = 0
        self.received = 0
        self.expected = record.expected - len(record.sent_ns)
        """Stamps to exchange on this connection, each way."""
        self._writer = writer
        self._record = record
        self._file = file
        self._clock = clock
        self._outgoing = direction(writer.local_host, writer.host)
        self._incoming = direction(writer.host, writer.local_host)
        newest = max((arrival.n for arrival in record.arrivals), default=0)
        self._number_offset = (
            max(newest, len(record.sent_ns)) + 1 if record.sent_ns or newest else 0
        )
        self._last_received = 0
        self._last_received_ns = 0
        self._prepare()

    @property
    def is_complete(self) -> bool:
        """Whether all stamps were sent, and as many received."""
        return min(self.sent, self.received) >= self.expected

    def send(self, now_ns: int, late_ns: int) -> None:
        """Send the next stamp at `now_ns`, `late_ns` after its deadline (monotonic)."""
        sent_ns = self._clock.wall_ns(now_ns)
        sent = format_time(sent_ns)
        line = b"%b%b%b" % (self._head, sent.encode(), self._tail)
        before_ns = self._clock.monotonic_ns()
        self._writer.write(line)
        record = self._record
        record.send_call_ns.append(self._clock.monotonic_ns() - before_ns)
        record.timer_error_ns.append(late_ns)
        record.sent_ns.append(sent_ns)
        self._file.add(self._outgoing + sent)
        self.sent += 1
        self._prepare()

    def receive(self, stamp: Stamp, received_ns: int) -> None:
        """Record a stamp received at `received_ns` (monotonic); raises ProtocolError."""
        last_received = stamp.last_received or 0
        received_ns = self._clock.wall_ns(received_ns)
        try:
            sent_ns = parse_time(stamp.sent)
            last_received_ns = parse_time(stamp.last_received_at or "") if last_received else 0
            arrival = ReceivedStamp(
                self._number_offset + stamp.n, sent_ns, last_received, last_received_ns, received_ns
            )
            check_last_received(arrival, len(self._record.sent_ns))
        except ValueError as error:
            raise ProtocolError(f"the server sent an impossible stamp: {error}") from None
        self._record.arrivals.append(arrival)
        self._file.add(self._incoming + stamp.sent)
        self.received += 1
        if stamp.n > self._last_received:
            self._last_received, self._last_received_ns = stamp.n, received_ns
            self._prepare()

    def _prepare(self) -> None:
        """Encode the next stamp before it is due, except for the time of sending."""
        last_received_at = format_time(self._last_received_ns) if self._last_received else UNSET
        stamp = Stamp(
            len(self._record.sent_ns) + 1, _BLANK, self._last_received or UNSET, last_received_at
        )
        self._head, self._tail = encode(stamp).split(_BLANK.encode(), 1)


class TimerSource(Protocol):
    """A timer that calls the pacer's `on_timer` at the time it is set to, or later."""

    def set(self, at_ns: int) -> None:
        """Expire at `at_ns` (monotonic), and repeatedly until it is set again."""

    def off(self) -> None:
        """Disarm the timer."""


class Pacer:
    """Calls `send(now_ns, late_ns)` once for each of the deadlines start + n x interval.

    `now_ns` is the monotonic clock as read for this deadline, and `late_ns` (>= 0) is how long ago
    the deadline was. After a stall, all overdue calls follow at once. Each deadline is computed
    from the start, so errors do not accumulate.
    """

    def __init__(
        self,
        monotonic_ns: Callable[[], int],
        timer: TimerSource,
        interval_ns: int,
        send: Callable[[int, int], object],
    ) -> None:
        self._monotonic_ns = monotonic_ns
        self._timer = timer
        self._interval_ns = interval_ns
        self._send = send
        self._deadline_ns = 0
        self.remaining = 0
        """Number of deadlines left."""

    def start(self, count: int) -> None:
        """Start the schedule now: the first of `count` deadlines is one interval away."""
        self._deadline_ns = self._monotonic_ns() + self._interval_ns
        self.remaining = count
        self._timer.set(self._deadline_ns)

    def on_timer(self) -> None:
        """Call `send` for each deadline that has passed, and set the timer to the next."""
        while self.remaining:
            now_ns = self._monotonic_ns()
            late_ns = now_ns - self._deadline_ns
            if late_ns < 0:
                self._timer.set(self._deadline_ns)
                return
            self._deadline_ns += self._interval_ns
            self.remaining -= 1
            self._send(now_ns, late_ns)
        self._timer.off()

    def stop(self) -> None:
        """Cancel all remaining deadlines."""
        self.remaining = 0
        self._timer.off()
