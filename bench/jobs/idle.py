"""Everybody is silent: what memory a connection holds."""

import socket

from msgspec import Struct, structs

from bench import proc
from bench.jobs.job import Goal
from bench.machine import affordable
from bench.measurement import Measurement, Stopwatch, Target, Timing
from bench.sockets import author, connect, fence

_FIRST = 100  # connections that pay for the first use of code, which is not theirs to pay


class Idle(Struct, frozen=True):
    """Open connections one by one, have each served once, a ping, and leave them be.

    `bytes_each` is the growth of the server's resident memory per connection; those that
    `says_hello` have a name, too. What the kernel holds for a socket is no part of it.
    """

    name: str
    connections: int
    says_hello: bool = False
    goal: Goal | None = None
    unit: str = "connections"

    def run(self, target: Target, _timing: Timing) -> Measurement:
        """Measure memory; the rate is that of connecting and being answered in turn."""
        count, note = affordable(self.connections)
        kept = [self._served(target, number) for number in range(_FIRST)]
        empty = proc.resident_bytes(target.pid)
        watch = Stopwatch(target.pid)
        kept += [self._served(target, _FIRST + number) for number in range(count)]
        measured = watch.stop(count, note)
        each = (proc.resident_bytes(target.pid) - empty) / count
        return structs.replace(measured, figures={"bytes_each": each})

    def _served(self, target: Target, number: int) -> socket.socket:
        sock = author(target, f"m{number}") if self.says_hello else connect(target)
        fence(sock, target)
        return sock
