"""One author, many listeners: what it costs to deliver a message to everybody."""

from msgspec import Struct

from bench.jobs.job import Goal
from bench.load.lane import Lane, Pace
from bench.load.steady import measure_steady
from bench.measurement import Measurement, Target, Timing
from bench.sockets import author, fence, member, settle
from bench.tape import numbered, repeated

_AUTHOR = "author"
_BEHIND = 1_024  # messages that members may be behind when they are said at a fixed rate


class Broadcast(Struct, frozen=True):
    """Keep `window` messages in flight; a message is in flight until every member has heard it.

    With a `rate` (messages/s) they are said at that rate instead, and latency counts from when
    each was due.
    """

    name: str
    members: int
    window: int = _BEHIND
    rate: int = 0
    content_size: int = 100
    goal: Goal | None = None
    unit: str = "deliveries"

    def run(self, target: Target, timing: Timing) -> Measurement:
        """Count deliveries at the members, each of whom must hear everything in order."""
        dialect = target.dialect
        speaker = author(target, _AUTHOR)
        members = [member(target, f"m{n}") for n in range(self.members)]
        settle((speaker, *members), target)
        answer = dialect.answer(self.members)
        lane = Lane(
            author=speaker,
            says=numbered(dialect.broadcast, self.content_size),
            listeners=members,
            hears=numbered(lambda text: dialect.broadcast_heard(_AUTHOR, text), self.content_size),
            pace=Pace(self.window, interval_s=1 / self.rate if self.rate else 0.0),
            answers=repeated(answer, 1_000) if answer else None,
        )
        measured = measure_steady([lane], target, timing)
        for sock in (speaker, *members):
            fence(sock, target)
        return measured
