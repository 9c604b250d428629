"""Everybody comes at once: how fast a server takes in connections."""

import errno
import select
import socket
import time

from msgspec import Struct

from bench.failures import TimedOut, WrongAnswer
from bench.jobs.job import Goal
from bench.machine import affordable
from bench.measurement import Measurement, Stopwatch, Target, Timing, percentiles
from bench.sockets import CHUNK, PATIENCE, fence


class ConnectStorm(Struct, frozen=True):
    """Open all connections at once and say hello on each; over when all are welcomed."""

    name: str
    connections: int
    goal: Goal | None = None
    unit: str = "welcomes"

    def run(self, target: Target, _timing: Timing) -> Measurement:
        """Measure from the first connect to the last welcome; latency is connect to welcome.

        The listen queue is part of what is measured: where it overflows, the kernel drops the
        handshake and tries again after a second, and the worst latency shows it.
        """
        count, note = affordable(self.connections)
        watch = Stopwatch(target.pid)
        guests = {}
        with select.epoll() as epoll:
            for n in range(count):
                guest = _Guest(target, f"m{n}")
                guests[guest.sock.fileno()] = guest
                epoll.register(guest.sock, select.EPOLLOUT)
            waits = _welcome_all(epoll, guests)
        measured = watch.stop(count, note, **percentiles(waits))
        for guest in guests.values():
            fence(guest.sock, target)
        return measured


class _Guest:
    """A connection on its way in."""

    def __init__(self, target: Target, name: str) -> None:
        self.came = time.perf_counter_ns()
        self.hello = target.dialect.hello(name)
        self.welcome = target.dialect.welcome
        self.heard = b""
        self.sock = socket.socket()
        self.sock.setblocking(False)
        fault = self.sock.connect_ex((target.host, target.port))
        if fault not in (0, errno.EINPROGRESS):
            raise OSError(fault, f"cannot connect guest {name}: {errno.errorcode[fault]}")

    def say_hello(self) -> None:
        if fault := self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise WrongAnswer(f"the server refused a connection: {errno.errorcode[fault]}")
        self.sock.send(self.hello)

    def is_welcome(self) -> bool:
        """Read what is there; tell whether it ends with the welcome."""
        answer = self.sock.recv(CHUNK)
        if not answer:
            raise WrongAnswer(f"hung up on, before {self.welcome!r} came; heard {self.heard!r}")
        self.heard += answer
        return self.heard.endswith(self.welcome)


def _welcome_all(epoll: select.epoll, guests: dict[int, _Guest]) -> list[int]:
    waits: list[int] = []
    while len(waits) < len(guests):
        events = epoll.poll(PATIENCE)
        if not events:
            raise TimedOut(f"{len(guests) - len(waits)} connections got no welcome")
        for descriptor, event in events:
            guest = guests[descriptor]
            if not event & select.EPOLLIN:
                guest.say_hello()
                epoll.modify(descriptor, select.EPOLLIN)
            elif guest.is_welcome():
                waits.append(time.perf_counter_ns() - guest.came)
                epoll.unregister(descriptor)
    return waits
