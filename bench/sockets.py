"""The client's end of a connection, and the bytes that it sends and must receive."""

import select
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from bench.errors import BenchTimeoutError, WrongAnswerError
from bench.measure import Target
from bench.protocols import ANY

CHUNK = 65_536
TIMEOUT = 10.0  # s without a sign of life until a run is given up


def connect(target: Target) -> socket.socket:
    """Return a connected socket that gives up after `TIMEOUT`."""
    sock = socket.create_connection((target.host, target.port), timeout=TIMEOUT)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def connect_author(target: Target, name: str) -> socket.socket:
    """Return a connection that is logged in as `name` and may send."""
    sock = connect(target)
    sock.sendall(target.protocol.hello(name))
    receive_until(sock, target.protocol.welcome)
    return sock


def connect_subscriber(target: Target, name: str) -> socket.socket:
    """Return a connection that receives what is sent to all."""
    return _connect_receiver(target, name, target.protocol.subscribe_to_all())


def connect_recipient(target: Target, name: str) -> socket.socket:
    """Return a connection that receives what is sent to `name`."""
    return _connect_receiver(target, name, target.protocol.subscribe_to_own(name))


def _connect_receiver(target: Target, name: str, subscription: bytes) -> socket.socket:
    sock = connect_author(target, name)
    if subscription:
        sock.sendall(subscription)
        receive_until(sock, target.protocol.ready)
    return sock


def receive_until(sock: socket.socket, end: bytes) -> bytes:
    """Return what comes up to and with `end`, behind which nothing may come."""
    received = b""
    while not received.endswith(end):
        try:
            more = sock.recv(CHUNK)
        except TimeoutError as error:
            raise BenchTimeoutError(
                f"no answer within {TIMEOUT:g} s; expected one that ends with {end!r}, "
                f"received {received[-200:]!r}"
            ) from error
        if not more:
            raise WrongAnswerError(
                f"the server closed the connection before {end!r} came; "
                f"received {received[-200:]!r}"
            )
        received += more
    return received


def drain_unsolicited(sockets: Iterable[socket.socket], target: Target) -> None:
    """Read what comes unasked, such as the list of users, until nothing more comes."""
    server_ping = target.protocol.server_ping
    for sock in sockets:
        if server_ping:
            receive_until(sock, server_ping[0])
            sock.sendall(server_ping[1])
        _receive_pong(sock, target)


def expect_silence(sock: socket.socket, target: Target) -> None:
    """Show that nothing more was on its way to `sock`: the next thing it receives is a pong."""
    received = _receive_pong(sock, target)
    if target.protocol.server_ping:
        received = received.replace(target.protocol.server_ping[0], b"")
    if len(received) != len(target.protocol.pong):
        raise WrongAnswerError(f"expected a pong and no more, received {received[:200]!r}")


def _receive_pong(sock: socket.socket, target: Target) -> bytes:
    """Return what comes up to and with the answer to a ping."""
    pong = repeated(target.protocol.pong, 1)
    sock.settimeout(TIMEOUT)
    sock.sendall(target.protocol.ping())
    received = b""
    while len(received) < pong.length or not pong.matches(0, received[-pong.length :]):
        try:
            more = sock.recv(CHUNK)
        except TimeoutError as error:
            raise BenchTimeoutError(
                f"no pong within {TIMEOUT:g} s; received {received[-200:]!r}"
            ) from error
        if not more:
            raise WrongAnswerError(
                f"the server closed the connection before a pong came; received {received[-200:]!r}"
            )
        received += more
    return received


def send_all(sock: socket.socket, requests: bytes) -> None:
    """Send without blocking; what is in flight is chosen so small that the kernel takes it."""
    taken = sock.send(requests)
    if taken != len(requests):
        raise BenchTimeoutError(
            f"the server reads too slowly: the kernel took {taken} of {len(requests)} bytes; "
            "use a smaller window or raise net.core.wmem_max"
        )


class Poller:
    """Which of many sockets have something to read; a silence of `TIMEOUT` ends the run."""

    def __init__(self, sockets: Iterable[socket.socket]) -> None:
        self._epoll = select.epoll()
        for sock in sockets:
            sock.setblocking(False)
            self._epoll.register(sock, select.EPOLLIN)

    def ready(self) -> Iterator[int]:
        """Wait for at least one readable socket; yield the descriptors."""
        events = self._epoll.poll(TIMEOUT)
        if not events:
            raise BenchTimeoutError(f"no socket received anything for {TIMEOUT:g} s")
        return (descriptor for descriptor, _ in events)

    def within(self, seconds: float) -> Iterator[int]:
        """Yield the descriptors with something to read in `seconds`; there may be none."""
        return (descriptor for descriptor, _ in self._epoll.poll(seconds))


CYCLE: Final = 64
"""Messages until the numbers begin again: more than are ever in flight to one receiver."""


def content(number: int, size: int) -> str:
    """Return message `number`'s content of `size` (>= 4) ASCII characters."""
    return f"{number % CYCLE:04}".ljust(size, ".")


class BytePattern:
    """The messages of `once`, all of the same length, laid end to end without end.

    Receivers are checked against it byte for byte: a comparison costs a tenth of what parsing
    would, so that the load stays faster than the server. Where `mask` is given, only the bits that
    are set in it are compared.
    """

    def __init__(self, once: bytes, length: int, mask: bytes | None = None) -> None:
        self.length = length
        self.period = len(once)
        # As many bytes as are in it can be taken from anywhere without wrapping.
        self.doubled = once * 2
        self.mask = mask and mask * 2

    def matches(self, position: int, received: bytes) -> bool:
        """Return whether the pattern reads `received` from byte `position` on."""
        while received:
            start = position % self.period
            piece = received[: self.period]
            if _masked(piece, self.mask, start) != _masked(
                self.doubled[start : start + len(piece)], self.mask, start
            ):
                return False
            received, position = received[len(piece) :], position + len(piece)
        return True


def _masked(piece: bytes, mask: bytes | None, start: int) -> bytes | int:
    if mask is None:
        return piece
    bits = int.from_bytes(mask[start : start + len(piece)], "big")
    return int.from_bytes(piece, "big") & bits


def numbered(message: Callable[[str], bytes], size: int) -> BytePattern:
    """Return what `message` makes of the contents 0, 1, 2 ... of `size` bytes each."""
    messages = [message(content(number, size)) for number in range(CYCLE)]
    return BytePattern(b"".join(messages), len(messages[0]))


def repeated(message: bytes, times: int) -> BytePattern:
    """Return `message` again and again, `times` of which can be sent at once."""
    mask = bytes(0 if bytes([byte]) == ANY else 0xFF for byte in message)
    return BytePattern(message * times, len(message), mask * times if 0 in mask else None)
