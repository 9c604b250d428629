"""Feeds: how punctual many paced ones are, and how much a few give that are not paced."""

import time

from msgspec import Struct, structs

from bench.errors import WrongAnswerError
from bench.measure import Goal, Measurement, Target, Timing, measure_steps, percentiles
from bench.sockets import CHUNK, Poller, connect

_NS_PER_MS = 1_000_000


class PeriodicFeeds(Struct, frozen=True):
    """Every subscriber gets a message, users and arrays in turn, each `interval_ms` (ms).

    Message n is due at start + n x interval. When a feed started is not known here, so it is
    taken from its own most punctual message; the others are as late as they come after that. What
    the load needs to take a message counts as lateness, too.
    """

    name: str
    subscribers: int
    interval_ms: int
    goal: Goal | None = None
    unit: str = "messages"

    def run(self, target: Target, timing: Timing) -> Measurement:
        """Measure the steady state, and the lateness of what comes in it."""
        load = _Load(target, self.subscribers, self.interval_ms)
        begin = time.perf_counter_ns() + round(timing.warmup * 1e9)
        measured = measure_steps(load.step, target.pid, timing)
        interval = self.interval_ms * _NS_PER_MS
        late = [ns for feed in load.feeds for ns in feed.lateness(begin, interval)]
        return structs.replace(measured, figures=percentiles(late))


class OnDemandFeeds(Struct, frozen=True):
    """Every subscriber gets as much as it reads."""

    name: str
    subscribers: int
    goal: Goal | None = None
    unit: str = "messages"

    def run(self, target: Target, timing: Timing) -> Measurement:
        """Measure the steady state."""
        return measure_steps(_Load(target, self.subscribers, 0).step, target.pid, timing)


class _Load:
    """Feeds, each of which has delivered a message."""

    def __init__(self, target: Target, count: int, interval_ms: int) -> None:
        self.feeds = [_Feed(target, interval_ms) for _ in range(count)]
        self._by_descriptor = {feed.sock.fileno(): feed for feed in self.feeds}
        self._poller = Poller(feed.sock for feed in self.feeds)
        while not all(feed.count for feed in self.feeds):
            self.step()

    def step(self) -> int:
        """Take what has come; return how many messages that is."""
        return sum(self._by_descriptor[descriptor].take() for descriptor in self._poller.ready())


class _Feed:
    """What one subscriber has received; a message that is missing ends the run."""

    def __init__(self, target: Target, interval_ms: int) -> None:
        self.sock = connect(target)
        self.sock.sendall(b'{"code":"subscribe","interval_ms":%d}\n' % interval_ms)
        self.count = 0
        self._carry = b""
        self._arrivals: list[tuple[int, int]] = []

    def take(self) -> int:
        """Read what is there; return how many messages came."""
        chunk = self.sock.recv(CHUNK)
        now = time.perf_counter_ns()
        if not chunk:
            raise WrongAnswerError(f"the server closed the connection after {self.count} messages")
        *lines, self._carry = (self._carry + chunk).split(b"\n")
        if lines:
            self.count += len(lines)
            self._arrivals.append((now, self.count))
            if b'","n":%d,' % self.count not in lines[-1]:
                raise WrongAnswerError(f"expected message {self.count}, received {lines[-1]!r}")
        return len(lines)

    def lateness(self, begin: int, interval: int) -> list[int]:
        """Return how late (ns) came what came after `begin`, message n being due at n x interval.

        Of several that came at once the last counts, the others were later still.
        """
        offsets = [now - number * interval for now, number in self._arrivals if now >= begin]
        return [offset - min(offsets) for offset in offsets]
