"""The client's end of a connection: opened in order, then driven without blocking."""

import select
import socket
from collections.abc import Iterable, Iterator

from bench.failures import TimedOut, WrongAnswer
from bench.measurement import Target

CHUNK = 65_536
PATIENCE = 10.0  # s without a sign of life until a run is given up


def connect(target: Target) -> socket.socket:
    """Return a connected socket that gives up after `PATIENCE`."""
    sock = socket.create_connection((target.host, target.port), timeout=PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def join(target: Target, name: str) -> socket.socket:
    """Return a connection that has been welcomed as `name`."""
    sock = connect(target)
    sock.sendall(target.dialect.hello(name))
    expect(sock, target.dialect.welcome)
    return sock


def expect(sock: socket.socket, answer: bytes) -> None:
    """Read one line; WrongAnswer if it does not begin with `answer` or is not alone."""
    heard = b""
    while not heard.endswith(b"\n"):
        try:
            more = sock.recv(CHUNK)
        except TimeoutError as late:
            raise TimedOut(f"no answer within {PATIENCE:g} s; expected {answer!r}") from late
        if not more:
            break
        heard += more
    if not heard.startswith(answer) or heard.count(b"\n") > 1:
        raise WrongAnswer(f"expected {answer!r} and no more, heard {heard[:200]!r}")


def fence(sock: socket.socket, target: Target) -> None:
    """Show that nothing more was on its way to `sock`: the next thing it hears is a pong."""
    sock.settimeout(PATIENCE)
    sock.sendall(target.dialect.ping())
    expect(sock, target.dialect.pong)


def send_whole(sock: socket.socket, requests: bytes) -> None:
    """Send without blocking; what is in flight is chosen so small that the kernel takes it."""
    taken = sock.send(requests)
    if taken != len(requests):
        raise TimedOut(
            f"the server reads too slowly: the kernel took {taken} of {len(requests)} bytes; "
            "use a smaller window or raise net.core.wmem_max"
        )


class Poller:
    """Which of many sockets have something to read; a silence of `PATIENCE` ends the run."""

    def __init__(self, sockets: Iterable[socket.socket]) -> None:
        self._epoll = select.epoll()
        for sock in sockets:
            sock.setblocking(False)
            self._epoll.register(sock, select.EPOLLIN)

    def ready(self) -> Iterator[int]:
        """Wait for at least one readable socket; yield the descriptors."""
        events = self._epoll.poll(PATIENCE)
        if not events:
            raise TimedOut(f"no socket heard anything for {PATIENCE:g} s")
        return (descriptor for descriptor, _ in events)

    def within(self, seconds: float) -> Iterator[int]:
        """Yield the descriptors with something to read in `seconds`; there may be none."""
        return (descriptor for descriptor, _ in self._epoll.poll(seconds))
