"""Everybody is silent: what memory a connection holds."""

import socket

from msgspec import Struct, structs

from bench import proc
from bench.jobs.job import Goal
from bench.machine import affordable
from bench.measurement import Measurement, Stopwatch, Target, Timing
from bench.sockets import connect, expect, fence

_FIRST = 100  # connections that pay for the first use of code, which is not theirs to pay


class Idle(Struct, frozen=True):
    """Open connections one by one and leave them be; then let each say hello.

    `bytes_each` is the growth of the server's resident memory per connection that has been
    served once (a ping), `bytes_member` per connection that has said hello, too. What the
    kernel holds for a socket is no part of either.
    """

    name: str
    connections: int
    goal: Goal | None = None
    unit: str = "connections"

    def run(self, target: Target, _timing: Timing) -> Measurement:
        """Measure memory; the rate is that of connecting and being answered in turn."""
        count, note = affordable(self.connections)
        sockets = [_served(target) for _ in range(_FIRST)]
        empty = proc.resident_bytes(target.pid)
        watch = Stopwatch(target.pid)
        sockets += [_served(target) for _ in range(count)]
        measured = watch.stop(count, note)
        connected = proc.resident_bytes(target.pid)
        for n, sock in enumerate(sockets):
            sock.sendall(target.dialect.hello(f"m{n}"))
            expect(sock, target.dialect.welcome)
        members = proc.resident_bytes(target.pid)
        each = (connected - empty) / count
        member = each + (members - connected) / len(sockets)
        return structs.replace(measured, figures={"bytes_each": each, "bytes_member": member})


def _served(target: Target) -> socket.socket:
    sock = connect(target)
    fence(sock, target)
    return sock
