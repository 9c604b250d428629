"""The client's end of a connection: opened in order, then driven without blocking."""

import select
import socket
from collections.abc import Iterable, Iterator

from bench.failures import TimedOut, WrongAnswer
from bench.measurement import Target
from bench.tape import repeated

CHUNK = 65_536
PATIENCE = 10.0  # s without a sign of life until a run is given up


def connect(target: Target) -> socket.socket:
    """Return a connected socket that gives up after `PATIENCE`."""
    sock = socket.create_connection((target.host, target.port), timeout=PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def author(target: Target, name: str) -> socket.socket:
    """Return a connection that has been welcomed as `name` and may send."""
    sock = connect(target)
    sock.sendall(target.dialect.hello(name))
    hear_until(sock, target.dialect.welcome)
    return sock


def member(target: Target, name: str) -> socket.socket:
    """Return a connection that hears what is sent to all."""
    return _listener(target, name, target.dialect.hear_all())


def recipient(target: Target, name: str) -> socket.socket:
    """Return a connection that hears what is sent to `name`."""
    return _listener(target, name, target.dialect.hear_own(name))


def _listener(target: Target, name: str, wish: bytes) -> socket.socket:
    sock = author(target, name)
    if wish:
        sock.sendall(wish)
        hear_until(sock, target.dialect.ready)
    return sock


def hear_until(sock: socket.socket, end: bytes) -> bytes:
    """Return what comes up to and with `end`, behind which nothing may come."""
    heard = b""
    while not heard.endswith(end):
        try:
            more = sock.recv(CHUNK)
        except TimeoutError as late:
            raise TimedOut(
                f"no answer within {PATIENCE:g} s; expected one that ends with {end!r}, "
                f"heard {heard[-200:]!r}"
            ) from late
        if not more:
            raise WrongAnswer(f"hung up on, before {end!r} came; heard {heard[-200:]!r}")
        heard += more
    return heard


def settle(sockets: Iterable[socket.socket], target: Target) -> None:
    """Hear what comes unasked, such as who else is here, until nothing more will."""
    nudge = target.dialect.nudge
    for sock in sockets:
        if nudge:
            hear_until(sock, nudge[0])
            sock.sendall(nudge[1])
        _hear_pong(sock, target)


def fence(sock: socket.socket, target: Target) -> None:
    """Show that nothing more was on its way to `sock`: the next thing it hears is a pong."""
    heard = _hear_pong(sock, target)
    if target.dialect.nudge:
        heard = heard.replace(target.dialect.nudge[0], b"")
    if len(heard) != len(target.dialect.pong):
        raise WrongAnswer(f"expected a pong and no more, heard {heard[:200]!r}")


def _hear_pong(sock: socket.socket, target: Target) -> bytes:
    """Return what comes up to and with the answer to a ping."""
    pong = repeated(target.dialect.pong, 1)
    sock.settimeout(PATIENCE)
    sock.sendall(target.dialect.ping())
    heard = b""
    while len(heard) < pong.length or not pong.is_at(0, heard[-pong.length :]):
        try:
            more = sock.recv(CHUNK)
        except TimeoutError as late:
            raise TimedOut(f"no pong within {PATIENCE:g} s; heard {heard[-200:]!r}") from late
        if not more:
            raise WrongAnswer(f"hung up on, before a pong came; heard {heard[-200:]!r}")
        heard += more
    return heard


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
