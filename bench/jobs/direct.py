"""One to one: what a message costs that is for a single member."""

import socket

from msgspec import Struct

from bench.jobs.job import Goal
from bench.measurement import Measurement, Target, Timing, steady
from bench.sockets import PATIENCE, Poller, fence, join, send_whole
from bench.tape import Listener, Tape


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
        pairs = {}
        for n in range(self.pairs):
            pair = _Pair(target, f"a{n:03}", f"b{n:03}", self.content_size)
            pairs[pair.recipient.fileno()] = pair
        poller = Poller(pair.recipient for pair in pairs.values())
        for pair in pairs.values():
            pair.send(self.window)

        def step() -> int:
            messages = 0
            for descriptor in poller.ready():
                pair = pairs[descriptor]
                if heard := pair.listener.take():
                    pair.send(heard)
                    messages += heard
            return messages

        measured = steady(step, target.pid, timing)
        for pair in pairs.values():
            pair.finish(target)
        return measured


class _Pair:
    def __init__(self, target: Target, author: str, recipient: str, size: int) -> None:
        dialect = target.dialect
        self.author: socket.socket = join(target, author)
        self.recipient: socket.socket = join(target, recipient)
        self.listener = Listener(
            self.recipient, Tape(lambda text: dialect.direct_heard(author, text), size)
        )
        self._requests = Tape(lambda text: dialect.direct(recipient, text), size)
        self._sent = 0

    def send(self, count: int) -> None:
        send_whole(self.author, self._requests.messages(self._sent, count))
        self._sent += count

    def finish(self, target: Target) -> None:
        """Hear what is still in flight, and nothing more than that."""
        self.recipient.settimeout(PATIENCE)
        while self.listener.heard < self._sent:
            self.listener.take()
        fence(self.recipient, target)
        fence(self.author, target)
