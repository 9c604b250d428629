"""Messages in, answers out: what a round trip costs, alone and in large batches."""

import socket
import time

from msgspec import Struct, structs

from bench.dialects import Dialect
from bench.failures import WrongAnswer
from bench.jobs.job import Goal
from bench.measurement import Measurement, Target, Timing, percentiles, steady
from bench.sockets import CHUNK, PATIENCE, Poller, connect, fence, send_whole


class PingPipelined(Struct, frozen=True):
    """Every connection has one to two batches of pings in flight, sent a batch at a time."""

    name: str
    connections: int
    batch: int
    goal: Goal | None = None
    unit: str = "pongs"

    def run(self, target: Target, timing: Timing) -> Measurement:
        """Send a connection's next batch when no more than one of its batches is unanswered."""
        ping, pong = target.dialect.ping() * self.batch, target.dialect.pong
        opened = [connect(target) for _ in range(self.connections)]
        pipes = {sock.fileno(): _Pipe(sock, ping, pong, self.batch) for sock in opened}
        poller = Poller(opened)
        for pipe in pipes.values():
            pipe.send()

        def step() -> int:
            return sum(pipes[descriptor].take() for descriptor in poller.ready())

        measured = steady(step, target.pid, timing)
        for pipe in pipes.values():
            pipe.drain()
            fence(pipe.sock, target)
        return measured


class _Pipe:
    """A connection that is never without unanswered pings."""

    def __init__(self, sock: socket.socket, pings: bytes, pong: bytes, batch: int) -> None:
        self.sock = sock
        self._pings = pings
        self._pong = pong
        self._batch = batch
        self._in_flight = 0
        self._carry = b""

    def send(self) -> None:
        send_whole(self.sock, self._pings)
        self._in_flight += self._batch

    def take(self) -> int:
        pongs = self._count()
        if self._in_flight <= self._batch:
            self.send()
        return pongs

    def drain(self) -> None:
        self.sock.settimeout(PATIENCE)
        while self._in_flight:
            self._count()

    def _count(self) -> int:
        """Count nothing but true pongs, also those that two chunks share."""
        chunk = self.sock.recv(CHUNK)
        if not chunk:
            raise WrongAnswer(f"the server hung up with {self._in_flight} pings unanswered")
        chunk = self._carry + chunk
        self._carry = chunk[1 - len(self._pong) :]
        pongs = chunk.count(self._pong)
        if not pongs and b"\n" in chunk:
            raise WrongAnswer(f"expected {self._pong!r}, heard {chunk[:200]!r}")
        self._in_flight -= pongs
        return pongs


class PingClosed(Struct, frozen=True):
    """Every connection sends its next ping when it has heard the pong: the round-trip times."""

    name: str
    connections: int
    goal: Goal | None = None
    unit: str = "round trips"

    def run(self, target: Target, timing: Timing) -> Measurement:
        """Measure the steady state; latencies are those of the whole run, warm-up included."""
        sockets = [connect(target) for _ in range(self.connections)]
        clients = {sock.fileno(): _RoundTrips(sock, target.dialect) for sock in sockets}
        poller = Poller(sockets)
        for client in clients.values():
            client.send()
        round_trips: list[int] = []

        def step() -> int:
            before = len(round_trips)
            round_trips.extend(clients[descriptor].take() for descriptor in poller.ready())
            return len(round_trips) - before

        measured = steady(step, target.pid, timing)
        return structs.replace(measured, figures=percentiles(round_trips))


class _RoundTrips:
    """A connection with one ping under way."""

    def __init__(self, sock: socket.socket, dialect: Dialect) -> None:
        self._sock = sock
        self._ping = dialect.ping()
        self._pong = dialect.pong
        self._sent_at = 0

    def send(self) -> None:
        self._sent_at = time.perf_counter_ns()
        self._sock.send(self._ping)

    def take(self) -> int:
        """Return how long (ns) the pong took, and send the next ping."""
        answer = self._sock.recv(CHUNK)
        round_trip = time.perf_counter_ns() - self._sent_at
        if not answer.startswith(self._pong) or not answer.endswith(b"\n"):
            raise WrongAnswer(f"expected {self._pong!r}, heard {answer[:200]!r}")
        self.send()
        return round_trip
