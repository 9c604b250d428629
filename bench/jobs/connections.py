"""Many connections: how fast they are accepted, and what memory each takes."""

import errno
import select
import socket
import time

from msgspec import Struct, structs

from bench import host
from bench.errors import BenchTimeoutError, WrongAnswerError
from bench.host import affordable_connections
from bench.measure import Goal, Measurement, Stopwatch, Target, Timing, percentiles
from bench.sockets import CHUNK, TIMEOUT, connect, connect_author, expect_silence


class ConnectionBurst(Struct, frozen=True):
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
        count, note = affordable_connections(self.connections)
        watch = Stopwatch(target.pid)
        connections = {}
        with select.epoll() as epoll:
            for n in range(count):
                connection = _NewConnection(target, f"m{n}")
                connections[connection.sock.fileno()] = connection
                epoll.register(connection.sock, select.EPOLLOUT)
            waits = _wait_for_welcomes(epoll, connections)
        measured = watch.stop(count, note, **percentiles(waits))
        for connection in connections.values():
            expect_silence(connection.sock, target)
        return measured


class _NewConnection:
    """A connection on its way in."""

    def __init__(self, target: Target, name: str) -> None:
        self.started = time.perf_counter_ns()
        self.hello = target.protocol.hello(name)
        self.welcome = target.protocol.welcome
        self.received = b""
        self.sock = socket.socket()
        self.sock.setblocking(False)
        error = self.sock.connect_ex((target.host, target.port))
        if error not in (0, errno.EINPROGRESS):
            raise OSError(error, f"cannot connect as {name}: {errno.errorcode[error]}")

    def say_hello(self) -> None:
        if error := self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise WrongAnswerError(f"the server refused a connection: {errno.errorcode[error]}")
        self.sock.send(self.hello)

    def is_welcomed(self) -> bool:
        """Read what is there; return whether it ends with the welcome."""
        answer = self.sock.recv(CHUNK)
        if not answer:
            raise WrongAnswerError(
                f"the server closed the connection before {self.welcome!r} came; "
                f"received {self.received!r}"
            )
        self.received += answer
        return self.received.endswith(self.welcome)


def _wait_for_welcomes(epoll: select.epoll, connections: dict[int, _NewConnection]) -> list[int]:
    waits: list[int] = []
    while len(waits) < len(connections):
        events = epoll.poll(TIMEOUT)
        if not events:
            raise BenchTimeoutError(f"{len(connections) - len(waits)} connections got no welcome")
        for descriptor, event in events:
            connection = connections[descriptor]
            if not event & select.EPOLLIN:
                connection.say_hello()
                epoll.modify(descriptor, select.EPOLLIN)
            elif connection.is_welcomed():
                waits.append(time.perf_counter_ns() - connection.started)
                epoll.unregister(descriptor)
    return waits


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
        count, note = affordable_connections(self.connections)
        kept = [self._served(target, number) for number in range(_FIRST)]
        empty = host.resident_bytes(target.pid)
        watch = Stopwatch(target.pid)
        kept += [self._served(target, _FIRST + number) for number in range(count)]
        measured = watch.stop(count, note)
        each = (host.resident_bytes(target.pid) - empty) / count
        return structs.replace(measured, figures={"bytes_each": each})

    def _served(self, target: Target, number: int) -> socket.socket:
        sock = connect_author(target, f"m{number}") if self.says_hello else connect(target)
        expect_silence(sock, target)
        return sock
