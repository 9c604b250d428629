"""Timestamp exchanges: how punctual the server is when many run, and how long others wait."""

import time
from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Struct, structs

from bench.errors import BenchTimeoutError, WrongAnswerError
from bench.measure import Goal, Measurement, Stopwatch, Target, Timing, percentiles
from bench.sockets import CHUNK, TIMEOUT, Poller, connect, expect_silence
from common.messages.timestamp import ExchangeEnd, Stamp
from common.protocol.timestamps import format_time, parse_time

_INTERVAL_MS = 10
_INTERVAL_NS = _INTERVAL_MS * 1_000_000
_PING_MS = 5  # between two pings, unless the last is still unanswered

_stamps = msgspec.json.Decoder(Stamp | ExchangeEnd)


class Exchanges(Struct, frozen=True):
    """Stamps go both ways every 10 ms on each of `count` connections; the server keeps its file.

    The load spreads its stamps over the interval, a tenth of them each ms. Lateness is that of the
    server's stamps by its own account of when it sent them: stamp n of an exchange is due at n x
    interval, and its most punctual stamp counts as on time. In the end both sides must have sent
    and taken every stamp. `read_p99_us` is how long stamps of the load take until the server has
    read them, by its account of when the newest came, and `ping_p99_us` the round trip of pings
    beside them, one at a time.
    """

    name: str
    count: int
    goal: Goal | None = None
    unit: str = "stamps each way"

    def run(self, target: Target, timing: Timing) -> Measurement:
        """Measure all of the exchanges but their warm-up."""
        each = round((timing.warmup + timing.seconds) * 1000 / _INTERVAL_MS)
        first = round(timing.warmup * 1000 / _INTERVAL_MS)
        load = _Load(target, self.count, each)
        load.run_until(first)
        watch = Stopwatch(target.pid)
        load.run_until(each)
        measured = watch.stop(self.count * (each - first))
        load.finish()
        late = [ns for exchange in load.exchanges for ns in exchange.lateness(first)]
        beside = {
            "read": percentiles(load.reading_times(first)),
            "ping": percentiles(load.pinger.round_trips),
        }
        figures = percentiles(late) | {
            f"{what}_{name}": figure[name]
            for what, figure in beside.items()
            for name in ("p50_us", "p99_us")
        }
        return structs.replace(measured, figures=figures)


class _Load:
    """The other side of the exchanges, on a grid of milliseconds."""

    def __init__(self, target: Target, count: int, each: int) -> None:
        self.exchanges = [_Exchange(target, each) for _ in range(count)]
        self.pinger = _Pinger(target)
        ends: list[_Exchange | _Pinger] = [*self.exchanges, self.pinger]
        for exchange in self.exchanges:
            exchange.begin()
        self._by_descriptor = {end.sock.fileno(): end for end in ends}
        self._poller = Poller(end.sock for end in ends)
        self._start = time.perf_counter()
        self._ms = 0
        self._sent_ns: list[int] = []

    def run_until(self, number: int) -> None:
        """Send stamps up to `number` of each exchange, and take what comes meanwhile."""
        while self._ms < number * _INTERVAL_MS:
            left = self._start + self._ms / 1000 - time.perf_counter()
            if left > 0:
                self._take(left)
                continue
            number_of_this, phase = divmod(self._ms, _INTERVAL_MS)
            now = time.time_ns()
            self._sent_ns.append(now)
            line = b'{"code":"stamp","n":%d,"sent":"%b"}\n' % (
                number_of_this + 1,
                format_time(now).encode(),
            )
            for exchange in self.exchanges[phase::_INTERVAL_MS]:
                exchange.sock.send(line)
            if self._ms % _PING_MS == 0:
                self.pinger.send()
            self._ms += 1

    def finish(self) -> None:
        """Take what is still to come, then have both sides agree on their counts."""
        deadline = time.perf_counter() + TIMEOUT
        while not all(exchange.is_complete for exchange in self.exchanges):
            self._take(0.1)
            if time.perf_counter() > deadline:
                raise BenchTimeoutError(f"stamps are missing {TIMEOUT:g} s after the last was due")
        for exchange in self.exchanges:
            exchange.end()

    def reading_times(self, first: int) -> list[int]:
        """Return how long (ns) stamps after number `first` took, where the server says so."""
        times = []
        for index, exchange in enumerate(self.exchanges):
            sent_ns = self._sent_ns[index % _INTERVAL_MS :: _INTERVAL_MS]
            for number, received_ns in exchange.received():
                if number > first:
                    times.append(received_ns - sent_ns[number - 1])
        return times

    def _take(self, within: float) -> None:
        for descriptor in self._poller.within(within):
            self._by_descriptor[descriptor].take()


class _Exchange:
    """One connection; what it receives is kept as it is and looked at when the load is over."""

    def __init__(self, target: Target, each: int) -> None:
        self.sock = connect(target)
        self._each = each
        self._count = 0
        self._received: list[bytes] = []
        expect_silence(self.sock, target)

    def begin(self) -> None:
        """Ask for the exchange; all connections were served before the first of them began."""
        request = b'{"code":"exchange","id":"1","interval_ms":%d,"duration_s":%g}\n'
        self.sock.sendall(request % (_INTERVAL_MS, self._each * _INTERVAL_MS / 1000))

    @property
    def is_complete(self) -> bool:
        """Whether the grant and all stamps of the server have come."""
        return self._count > self._each

    def take(self) -> None:
        chunk = self.sock.recv(CHUNK)
        if not chunk:
            raise WrongAnswerError(f"the server closed the connection after {self._count} lines")
        self._count += chunk.count(b"\n")
        self._received.append(chunk)

    def end(self) -> None:
        """Raise WrongAnswerError unless the server, too, sent and took every stamp."""
        self.sock.settimeout(TIMEOUT)
        self.sock.sendall(b'{"code":"exchange_end"}\n')
        answer = self.sock.recv(CHUNK)
        if _stamps.decode(answer) != ExchangeEnd(self._each, self._each):
            raise WrongAnswerError(f"expected {self._each} stamps each way, received {answer!r}")

    def lateness(self, first: int) -> Iterator[int]:
        """Yield how late (ns) each stamp after number `first` was sent."""
        phases = list(_phases(self._stamps()))
        return (phase - min(phases) for phase in phases[first:])

    def received(self) -> Iterator[tuple[int, int]]:
        """Yield the numbers of stamps that the server received, and when (ns since the epoch)."""
        for stamp in self._stamps():
            if isinstance(stamp, Stamp) and stamp.last_received and stamp.last_received_at:
                yield stamp.last_received, parse_time(stamp.last_received_at)

    def _stamps(self) -> list[Stamp | ExchangeEnd]:
        lines = b"".join(self._received).split(b"\n")[1:-1]
        return [_stamps.decode(line) for line in lines]


def _phases(stamps: Sequence[Stamp | ExchangeEnd]) -> Iterator[int]:
    for number, stamp in enumerate(stamps, 1):
        if not isinstance(stamp, Stamp) or stamp.n != number:
            raise WrongAnswerError(f"expected stamp {number}, received {stamp}")
        yield parse_time(stamp.sent) - number * _INTERVAL_NS


class _Pinger:
    """Somebody else, with one ping under way at most."""

    def __init__(self, target: Target) -> None:
        self.sock = connect(target)
        self.round_trips: list[int] = []
        self._ping = target.protocol.ping()
        self._sent_at = 0

    def send(self) -> None:
        if not self._sent_at:
            self._sent_at = time.perf_counter_ns()
            self.sock.send(self._ping)

    def take(self) -> None:
        self.sock.recv(CHUNK)
        self.round_trips.append(time.perf_counter_ns() - self._sent_at)
        self._sent_at = 0
