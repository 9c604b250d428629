"""One to one: what a message costs that is for a single member."""

from msgspec import Struct

from bench.jobs.job import Goal
from bench.load.lane import Lane, Pace
from bench.load.steady import measure_steady
from bench.measurement import Measurement, Target, Timing
from bench.sockets import author, fence, recipient, settle
from bench.tape import numbered, repeated


class Direct(Struct, frozen=True):
    """In every pair one sends, the other listens; `window` messages are in flight in each pair."""

    name: str
    pairs: int
    window: int
    content_size: int = 100
    goal: Goal | None = None
    unit: str = "messages"

    def run(self, target: Target, timing: Timing) -> Measurement:
        """Count messages at the recipients, each of whom must hear everything in order."""
        lanes = [self._pair(target, f"a{n:03}", f"b{n:03}") for n in range(self.pairs)]
        sockets = [sock for lane in lanes for sock in (lane.author, *lane.listeners)]
        settle(sockets, target)
        measured = measure_steady(lanes, target, timing)
        for sock in sockets:
            fence(sock, target)
        return measured

    def _pair(self, target: Target, one: str, other: str) -> Lane:
        dialect, size = target.dialect, self.content_size
        answer = dialect.answer(1)
        return Lane(
            author=author(target, one),
            says=numbered(lambda text: dialect.direct(other, text), size),
            listeners=[recipient(target, other)],
            hears=numbered(lambda text: dialect.direct_heard(one, other, text), size),
            pace=Pace(self.window),
            answers=repeated(answer, 1_000) if answer else None,
        )
