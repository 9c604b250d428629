"""One author, many listeners: what it costs to deliver a message to everybody."""

from msgspec import Struct

from bench.jobs.job import Goal
from bench.measurement import Measurement, Target, Timing, steady
from bench.sockets import Poller, fence, join, send_whole
from bench.tape import Listener, Tape

_AUTHOR = "author"


class Broadcast(Struct, frozen=True):
    """Keep `window` messages in flight; a message is in flight until every member has heard it."""

    name: str
    members: int
    window: int
    content_size: int = 100
    goal: Goal | None = None
    unit: str = "deliveries"

    def run(self, target: Target, timing: Timing) -> Measurement:
        """Count deliveries at the members, each of whom must hear everything in order."""
        dialect = target.dialect
        requests = Tape(dialect.broadcast, self.content_size)
        heard = Tape(lambda text: dialect.broadcast_heard(_AUTHOR, text), self.content_size)
        author = join(target, _AUTHOR)
        members = [join(target, f"m{n}") for n in range(self.members)]
        listeners = {sock.fileno(): Listener(sock, heard) for sock in members}
        poller = Poller(members)
        flight = _Flight(self.members, self.window)

        def send() -> None:
            if room := flight.room():
                send_whole(author, requests.messages(flight.sent, room))
                flight.sent += room

        def listen() -> int:
            deliveries = 0
            for descriptor in poller.ready():
                listener = listeners[descriptor]
                before = listener.heard
                if taken := listener.take():
                    flight.advance(before, listener.heard)
                    deliveries += taken
            return deliveries

        def step() -> int:
            send()
            return listen()

        measured = steady(step, target.pid, timing)
        while flight.room() < self.window:
            listen()
        for sock in (author, *members):
            fence(sock, target)
        return measured


class _Flight:
    """Which messages some member still has to hear.

    All members stand between `done` and `sent`, at most a window apart, so a ring that counts
    how many stand where tells the slowest of them without a look at every member.
    """

    def __init__(self, members: int, window: int) -> None:
        self.sent = 0
        self.done = 0
        self._window = window
        self._standing = [0] * (window + 1)
        self._standing[0] = members

    def advance(self, before: int, after: int) -> None:
        """Move one member from having heard `before` messages to having heard `after`."""
        places = len(self._standing)
        self._standing[before % places] -= 1
        self._standing[after % places] += 1

    def room(self) -> int:
        """Return how many messages may be sent now."""
        while self.done < self.sent and not self._standing[self.done % len(self._standing)]:
            self.done += 1
        return self._window - (self.sent - self.done)
