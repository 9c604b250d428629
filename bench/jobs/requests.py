"""Many requests wait at once: how late their answers come, and what it costs to let them wait."""

import socket
import time
from collections.abc import Iterator

from msgspec import Struct, structs

from bench import host
from bench.errors import BenchTimeoutError, WrongAnswerError
from bench.measure import Goal, Measurement, Stopwatch, Target, Timing, percentiles
from bench.protocols import ChatdProtocol
from bench.sockets import CHUNK, Poller, connect, expect_silence, send_all

_GROUP = 100  # requests sent together
_REFUSED = b'{"code":"error","reason":"duplicate_request",'


class PendingRequests(Struct, frozen=True):
    """Fill the server with requests, then take every answer as it falls due.

    The server draws its delays from a known seed, and of each group the last request comes twice:
    that it is refused at once shows that those before it were taken. So it is known which request
    drew what, and a group is all requests, as clients send them. Lateness is from the
    moment before the group was sent, plus the delay, to the moment the answer was read; the way
    there and back is part of it. `bytes_each` is the growth of the server's resident memory per
    request that waits, its answer included.
    """

    name: str
    connections: int
    each: int
    goal: Goal | None = None
    unit: str = "answers"

    def run(self, target: Target, _timing: Timing) -> Measurement:
        """Measure from the first request to the last answer."""
        protocol = target.protocol
        assert isinstance(protocol, ChatdProtocol), "no other server has such requests"
        answers = {protocol.response(n): n for n in range(self.each)}
        lateness: list[int] = []
        sockets = [connect(target) for _ in range(self.connections)]
        for sock in sockets:
            expect_silence(sock, target)
        requesters = {
            sock.fileno(): _Requester(sock, answers, protocol, lateness) for sock in sockets
        }
        poller = Poller(sockets)
        delays = protocol.delays()
        empty = host.resident_bytes(target.pid)
        watch = Stopwatch(target.pid)
        for first in range(0, self.each, _GROUP):
            numbers = range(first, min(first + _GROUP, self.each))
            for requester in requesters.values():
                requester.ask(numbers, delays)
                while requester.is_unconfirmed:
                    for descriptor in poller.ready():
                        requesters[descriptor].take()
        count = self.connections * self.each
        each = (host.resident_bytes(target.pid) - empty) / count
        if lateness:
            raise BenchTimeoutError(
                f"{watch.seconds:.1f} s went by before all was sent, and answers came"
            )
        while len(lateness) < count:
            for descriptor in poller.ready():
                requesters[descriptor].take()
        measured = watch.stop(count)
        for sock in sockets:
            expect_silence(sock, target)
        return structs.replace(measured, figures=percentiles(lateness) | {"bytes_each": each})


class _Requester:
    """A connection with requests under way, each with the time (ns) when its answer is due."""

    def __init__(
        self,
        sock: socket.socket,
        answers: dict[bytes, int],
        protocol: ChatdProtocol,
        lateness: list[int],
    ) -> None:
        self.is_unconfirmed = False
        """Whether the server may not have taken all that was sent."""
        self._sock = sock
        self._answers = answers
        self._protocol = protocol
        self._lateness = lateness
        self._due: dict[int, int] = {}
        self._carry = b""

    def ask(self, numbers: range, delays: Iterator[float]) -> None:
        requests = [self._protocol.request(n) for n in numbers]
        self.is_unconfirmed = True
        now = time.perf_counter_ns()
        send_all(self._sock, b"".join(requests) + requests[-1])
        for n in numbers:
            self._due[n] = now + round(next(delays) * 1e9)

    def take(self) -> None:
        chunk = self._sock.recv(CHUNK)
        now = time.perf_counter_ns()
        if not chunk:
            raise WrongAnswerError(
                f"the server closed the connection with {len(self._due)} requests unanswered"
            )
        *lines, self._carry = (self._carry + chunk).split(b"\n")
        for line in lines:
            number = self._answers.get(line)
            if number is not None:
                self._note(now - self._due.pop(number))
            elif line.startswith(_REFUSED):
                self.is_unconfirmed = False
            else:
                raise WrongAnswerError(f"expected an answer or a refusal, received {line[:200]!r}")

    def _note(self, lateness: int) -> None:
        if lateness < 0:
            raise WrongAnswerError(f"an answer came {-lateness} ns before it was due")
        self._lateness.append(lateness)
