"""Authors who wait until their messages are kept: how many at once, and how long each waits."""

import socket

from msgspec import Struct

from bench.jobs.job import Goal
from bench.keeping import Keeping
from bench.load.lane import Lane, Pace
from bench.load.steady import measure_steady
from bench.measurement import Measurement, Target, Timing
from bench.sockets import connect, fence, hear_until, settle

_MESSAGES = 800_000
"""That can be said in one run, by all together; more than any server keeps in its few seconds."""


class Durable(Struct, frozen=True):
    """Each of `authors` has up to `window` messages of which it is not yet told that they are kept.

    With a window of one it says the next when it is told of the last.
    """

    name: str
    authors: int
    window: int = 1
    content_size: int = 100
    goal: Goal | None = None
    unit: str = "messages"

    def run(self, target: Target, timing: Timing) -> Measurement:
        """Count acknowledgements; how long they take is the latency of a commit, way included."""
        dialect = target.dialect
        assert isinstance(dialect, Keeping), "it acknowledges nothing"
        dialect.prepare(target)
        lanes = [self._lane(target, dialect, f"a{number:04}") for number in range(self.authors)]
        sockets = [lane.author for lane in lanes]
        settle(sockets, target)
        measured = measure_steady(lanes, target, timing)
        for sock in sockets:
            fence(sock, target)
            sock.close()
        return measured

    def _lane(self, target: Target, dialect: Keeping, name: str) -> Lane:
        count = _MESSAGES // self.authors
        author = _introduced(target, dialect, name)
        return Lane(
            author=author,
            says=dialect.kept(name, count, self.content_size),
            listeners=[author],
            hears=dialect.acknowledged(name, count),
            pace=Pace(self.window),
        )


def _introduced(target: Target, dialect: Keeping, name: str) -> socket.socket:
    author = connect(target)
    author.sendall(dialect.introduce(name))
    hear_until(author, target.dialect.welcome)
    return author
