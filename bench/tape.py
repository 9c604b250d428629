"""Numbered messages of one length on an endless tape: what is sent, and what must be heard."""

import socket
from collections.abc import Callable

from bench.failures import WrongAnswer
from bench.sockets import CHUNK

CYCLE = 1_000  # messages until the numbers begin again; far more than are ever in flight


def content(number: int, size: int) -> str:
    """Return message `number`'s content of `size` (>= 4) ASCII characters."""
    return f"{number % CYCLE:04}".ljust(size, ".")


class Tape:
    """The messages that `message` makes of the contents 0, 1, 2 ..., laid end to end.

    Recipients are checked against it byte for byte: a comparison of slices costs a tenth of
    what parsing would, so that the load stays faster than the server.
    """

    def __init__(self, message: Callable[[str], bytes], size: int) -> None:
        messages = [message(content(number, size)) for number in range(CYCLE)]
        self.length = len(messages[0])
        once = b"".join(messages)
        self._period = len(once)
        # Any slice that starts within the first cycle can be taken without wrapping.
        self._bytes = once + (once * (CHUNK // len(once) + 1))

    def messages(self, first: int, count: int) -> bytes:
        """Return `count` messages (up to a cycle) from number `first` on."""
        start = first % CYCLE * self.length
        return self._bytes[start : start + count * self.length]

    def holds(self, chunk: bytes, position: int) -> bool:
        """Whether the tape reads `chunk` at byte `position`."""
        start = position % self._period
        return self._bytes[start : start + len(chunk)] == chunk


class Listener:
    """A connection that must hear exactly a tape."""

    def __init__(self, sock: socket.socket, tape: Tape) -> None:
        self.sock = sock
        self.heard = 0
        self._receive = sock.recv
        self._position = 0
        self._tape = tape

    def take(self) -> int:
        """Read what is there; return how many messages that completes."""
        chunk = self._receive(CHUNK)
        if not chunk or not self._tape.holds(chunk, self._position):
            raise WrongAnswer(self._explain(chunk))
        self._position += len(chunk)
        before, self.heard = self.heard, self._position // self._tape.length
        return self.heard - before

    def _explain(self, chunk: bytes) -> str:
        if not chunk:
            return f"the server hung up after {self.heard} messages"
        expected = self._tape.messages(self.heard, 1)
        return f"after {self.heard} messages expected {expected!r}, heard {chunk[:200]!r}"
