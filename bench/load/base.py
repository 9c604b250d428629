"""Message flows, and the interface of the loads that drive them."""

import socket
from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from bench.errors import BenchError, WrongAnswerError
from bench.sockets import BytePattern


class Pace(Struct, frozen=True):
    """When an author sends its next messages.

    Up to `window` are in flight: a message is in flight until every receiver has it. They are sent
    `batch` at a time. Where there is an `interval_s`, one is due every so many seconds, and how
    long it took counts from then, however late it was sent.
    """

    window: int
    batch: int = 1
    interval_s: float = 0.0


class Flow(Struct, frozen=True):
    """An author and the receivers of what it sends; `replies` go to the author itself."""

    author: socket.socket
    sends: BytePattern
    receivers: Sequence[socket.socket]
    expects: BytePattern
    pace: Pace
    replies: BytePattern | None = None


class Load(Protocol):
    """Drives message flows; a receiver may be the author itself."""

    def run(self, seconds: float) -> int:
        """Load the server for so long; return how many messages receivers have received.

        Raises WrongAnswerError for a byte that should not be, and for a connection that is lost.
        """
        ...

    def finish(self, seconds: float) -> bool:
        """Send no more and receive what is still to come; False if in so long not all has come."""
        ...

    def take_latencies(self) -> list[int]:
        """Return how long messages took since the last time, in the buckets of `bench.measure`."""
        ...


def mismatch(pattern: BytePattern | None, position: int, received: bytes) -> BenchError:
    """Return the error of a receiver that `received` this when it was at byte `position`."""
    if not pattern:
        return WrongAnswerError(f"an author that must receive nothing received {received!r}")
    number, inside = divmod(position, pattern.length)
    start = number * pattern.length % pattern.period
    expected = pattern.doubled[start : start + pattern.length]
    return WrongAnswerError(
        f"after {number} messages and {inside} bytes expected {expected[:200]!r}, "
        f"received {received!r}"
    )
