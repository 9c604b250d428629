"""Messages in, answers out: what a round trip costs, alone and in large batches."""

import socket

from msgspec import Struct

from bench.jobs.job import Goal
from bench.load.lane import Lane, Pace
from bench.load.steady import measure_steady
from bench.measurement import Measurement, Target, Timing
from bench.sockets import author, fence, settle
from bench.tape import repeated


class Ping(Struct, frozen=True):
    """Every connection has up to `window` pings in flight, and sends them `batch` at a time."""

    name: str
    connections: int
    window: int = 1
    batch: int = 1
    goal: Goal | None = None
    unit: str = "pongs"

    def run(self, target: Target, timing: Timing) -> Measurement:
        """Measure the steady state; a pong is checked but for the times in it."""
        sockets = [author(target, f"p{n}") for n in range(self.connections)]
        settle(sockets, target)
        measured = measure_steady([self._lane(sock, target) for sock in sockets], target, timing)
        for sock in sockets:
            fence(sock, target)
        return measured

    def _lane(self, sock: socket.socket, target: Target) -> Lane:
        return Lane(
            author=sock,
            says=repeated(target.dialect.ping(), self.batch),
            listeners=[sock],
            hears=repeated(target.dialect.pong, self.batch),
            pace=Pace(self.window, self.batch),
        )
