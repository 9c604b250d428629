"""The load where nothing can be compiled: the same as `load.c`, several times slower."""

import select
import time
from collections import deque

from bench.failures import WrongAnswer
from bench.histogram import BUCKETS, bucket
from bench.load.lane import Lane, wrong
from bench.tape import Tape

_CHUNK = 256 * 1024


class PlainLoad:
    """Drives the lanes in Python."""

    def __init__(self, lanes: list[Lane]) -> None:
        self._counts = [0] * BUCKETS
        self._epoll = select.epoll()
        self._ends: dict[int, _End] = {}
        self._lanes = [_Flight(lane) for lane in lanes]
        self._is_finishing = False
        for flight in self._lanes:
            lane = flight.lane
            for listener in lane.listeners:
                self._add(listener.fileno(), flight, lane.hears)
            if lane.author not in lane.listeners:
                self._add(lane.author.fileno(), flight, lane.answers, is_listener=False)

    def run(self, seconds: float) -> int:
        """Load the server for so long; return how many messages listeners have heard."""
        self._is_finishing = False
        return self._run(seconds)

    def finish(self, seconds: float) -> bool:
        """Say no more and hear what is still to come; False if in so long not all has come."""
        self._is_finishing = True
        self._run(seconds)
        return self._is_over()

    def take_latencies(self) -> list[int]:
        """Return how long messages took since the last time."""
        taken, self._counts = self._counts, [0] * BUCKETS
        return taken

    def _add(
        self, fd: int, flight: "_Flight", hears: Tape | None, *, is_listener: bool = True
    ) -> None:
        self._ends[fd] = _End(flight, hears, is_listener=is_listener)
        self._epoll.register(fd, select.EPOLLIN)

    def _run(self, seconds: float) -> int:
        end = time.perf_counter_ns() + round(seconds * 1e9)
        heard = 0
        for flight in self._lanes:
            self._speak(flight)
        while (now := time.perf_counter_ns()) < end and not (
            self._is_finishing and self._is_over()
        ):
            due = min([end, *(flight.next_due for flight in self._lanes if flight.interval)])
            for fd, _event in self._epoll.poll(max(0, due - now) / 1e9):
                heard += self._hear(fd)
            for flight in self._lanes:
                self._speak(flight)
        return heard

    def _speak(self, flight: "_Flight") -> None:
        if self._is_finishing:
            flight.send()
        else:
            flight.speak()

    def _hear(self, fd: int) -> int:
        end = self._ends[fd]
        try:
            chunk = end.flight.receive(fd)
        except OSError as fault:
            raise WrongAnswer(f"connection lost: {fault.strerror}") from None
        if not chunk:
            raise WrongAnswer("connection lost: the server hung up")
        if (
            end.hears is None
            or end.position + len(chunk) > end.flight.said * end.hears.length
            or not end.hears.is_at(end.position, chunk)
        ):
            raise wrong(end.hears, end.position, chunk[:200])
        before = end.position // end.hears.length
        end.position += len(chunk)
        after = end.position // end.hears.length
        if not end.is_listener or after == before:
            return 0
        now = time.perf_counter_ns()
        for number in range(before, after):
            self._counts[bucket(now - end.flight.heard(number))] += 1
        return after - before

    def _is_over(self) -> bool:
        return all(
            end.hears is None or end.position == end.flight.said * end.hears.length
            for end in self._ends.values()
        )


class _End:
    """A socket and what it has heard (bytes)."""

    def __init__(self, flight: "_Flight", hears: Tape | None, *, is_listener: bool) -> None:
        self.flight = flight
        self.hears = hears
        self.is_listener = is_listener
        self.position = 0


class _Flight:
    """The messages of a lane that some listener still has to hear, and when each was said."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.said = 0
        self.interval = round(lane.pace.interval_s * 1e9)
        self._done = 0
        self._sent = 0
        self._start = 0
        self._open: deque[list[int]] = deque()
        self._sockets = {sock.fileno(): sock for sock in (lane.author, *lane.listeners)}
        for sock in self._sockets.values():
            sock.setblocking(False)

    @property
    def next_due(self) -> int:
        """When (ns) the next message is due."""
        return self._start + self.said * self.interval

    def receive(self, fd: int) -> bytes:
        return self._sockets[fd].recv(_CHUNK)

    def speak(self) -> None:
        """Say what the window has room for, or the time has come for."""
        pace, now = self.lane.pace, time.perf_counter_ns()
        room = pace.window - (self.said - self._done)
        if self.interval:
            self._start = self._start or now
            room = min(room, (now - self._start) // self.interval + 1 - self.said)
        for _ in range(room - room % pace.batch):
            began = self.next_due if self.interval else now
            self._open.append([began, len(self.lane.listeners)])
            self.said += 1
        self.send()

    def send(self) -> None:
        """Send what is said and not yet sent, as far as the kernel takes it."""
        says = self.lane.says
        while (left := self.said * says.length - self._sent) > 0:
            start = self._sent % says.period
            try:
                self._sent += self.lane.author.send(
                    says.twice[start : start + min(left, says.period)]
                )
            except BlockingIOError:
                return
            except OSError as fault:
                raise WrongAnswer(f"connection lost: {fault.strerror}") from None

    def heard(self, number: int) -> int:
        """Note that one listener has heard message `number`; return when (ns) that was said."""
        message = self._open[number - self._done]
        message[1] -= 1
        while self._open and not self._open[0][1]:
            self._open.popleft()
            self._done += 1
        return message[0]
