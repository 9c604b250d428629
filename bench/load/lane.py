"""What a load is made of."""

import socket
from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from bench.failures import BenchError, WrongAnswer
from bench.tape import Tape


class Pace(Struct, frozen=True):
    """When an author says its next messages.

    Up to `window` are in flight: a message is until every listener has heard it. They are said
    `batch` at a time. Where there is an `interval_s`, one is due every so many seconds, and how
    long it took counts from then, however late it was said.
    """

    window: int
    batch: int = 1
    interval_s: float = 0.0


class Lane(Struct, frozen=True):
    """An author and those who must hear all that it says; `answers` is what it hears itself."""

    author: socket.socket
    says: Tape
    listeners: Sequence[socket.socket]
    hears: Tape
    pace: Pace
    answers: Tape | None = None


class Load(Protocol):
    """Lanes that are driven; a listener may be the author itself."""

    def run(self, seconds: float) -> int:
        """Load the server for so long; return how many messages listeners have heard.

        Raises WrongAnswer for a byte that should not be, and for a connection that is lost.
        """
        ...

    def finish(self, seconds: float) -> bool:
        """Say no more and hear what is still to come; False if in so long not all has come."""
        ...

    def take_latencies(self) -> list[int]:
        """Return how long messages took since the last time, as `bench.histogram` counts them."""
        ...


def wrong(tape: Tape | None, position: int, heard: bytes) -> BenchError:
    """Return the failure of a listener that `heard` this when it was at byte `position`."""
    if not tape:
        return WrongAnswer(f"an author that is to be told nothing heard {heard!r}")
    number, inside = divmod(position, tape.length)
    start = number * tape.length % tape.period
    expected = tape.twice[start : start + tape.length]
    return WrongAnswer(
        f"after {number} messages and {inside} bytes expected {expected[:200]!r}, heard {heard!r}"
    )
