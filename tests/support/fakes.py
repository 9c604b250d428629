"""Fakes for the parts of the daemon: clock, scheduler, time file, disk, feed source, session."""

import errno
import io
import json
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from chatd.core.formats import Format
from chatd.core.send_queue import SendQueue
from chatd.core.session import Access, Session
from chatd.services.feed.service import ItemStream
from common.messages.feed import Subscribe
from common.timing.file_format import FileBlock, parse_blocks
from tests.support.fake_time import FakeTime

EPOCH_NS: Final = 1_795_245_060_000_000_000
"""2026-11-21T07:11:00Z, when every fake clock starts."""


class FakeClock(FakeTime):
    """Stands still until a test advances it; timers that fall due meanwhile fire."""

    def __init__(self) -> None:
        super().__init__(start=0.0)

    def wall_ns(self) -> int:
        """Return ns since the Unix epoch."""
        return EPOCH_NS + round(self.now * 1e9)


class ManualScheduler:
    """Stands in for `loop.call_soon`: what was scheduled runs when a test says so."""

    def __init__(self) -> None:
        self._calls: deque[Callable[[], None]] = deque()

    def __call__(self, call: Callable[[], None]) -> None:
        self._calls.append(call)

    def run(self) -> None:
        """Run what was scheduled, and what that schedules."""
        while self._calls:
            self._calls.popleft()()


class FakeTimeFile:
    """A time file in memory."""

    def __init__(self) -> None:
        self.lost = 0
        self.blocks: list[list[str]] = []
        """The rows of each block."""
        self.ends: list[tuple[int, bool]] = []
        """How each block ended: its duration in ns, and whether it was broken off."""

    @property
    def rows(self) -> list[str]:
        """The rows of all blocks."""
        return [row for block in self.blocks for row in block]

    async def open(self) -> None:
        """Do nothing: it is always open."""

    def start_block(self) -> None:
        """Begin a block."""
        self.blocks.append([])

    def add(self, row: str) -> None:
        """Write a stamp."""
        self.blocks[-1].append(row)

    def end_block(self, duration_ns: int, *, broken_off: bool) -> None:
        """End the block."""
        self.ends.append((duration_ns, broken_off))


class FakeDisk(io.BytesIO):
    """A file that can hold `capacity` bytes in all and takes at most `step` of them in one write.

    A write that begins before the disk is full is cut short; the next one fails.
    """

    def __init__(self, content: bytes = b"", *, capacity: int = 10**9, step: int = 10**9) -> None:
        super().__init__(content)
        self.capacity = capacity
        self.step = step
        self.cannot_truncate = False

    def write(self, content: bytes, /) -> int:  # type: ignore[override]  # BytesIO takes any buffer
        taken = content[: min(self.step, self.capacity - self.tell())]
        if content and not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(taken)

    def truncate(self, size: int | None = None, /) -> int:
        if self.cannot_truncate:
            raise OSError(errno.EINVAL, "Invalid argument")
        return super().truncate(size)

    @property
    def text(self) -> str:
        return self.getvalue().decode()

    def blocks(self) -> list[FileBlock]:
        return list(parse_blocks(io.StringIO(self.text)))

    def numbers(self) -> list[int]:
        return [row.number for block in self.blocks() for row in block.rows]


class UnavailableFeed:
    """Stands in for the generator where Faker is missing."""

    async def open(self, _subscription: Subscribe, _on_available: Callable[[], None]) -> ItemStream:
        """Refuse."""
        raise ImportError("no module named faker")


class DetachedTransport:
    """The transport of a session that has no connection."""

    local_host = "?"

    def close_transport(self) -> None:
        """Do nothing: there is nothing to close."""

    async def drain(self) -> None:
        """Return at once: nothing is ever written."""


def detached_send_queue() -> SendQueue:
    """Return a send queue that nobody flushes."""
    return SendQueue(lambda _send_queue: None, lambda _remainder: None)


def detached_session(identity: int, wire_format: Format = Format.LEGACY) -> Session:
    """Return a session that no service knows, named after its identity."""
    session = Session("192.0.2.1:40000", 0.0, detached_send_queue(), DetachedTransport())
    session.send_queue.set_format(wire_format)
    session.identity = identity
    session.access = Access.MEMBER if identity else Access.ANYONE
    session.name = session.key = f"user {identity}"
    return session


def received_by(session: Session) -> list[dict[str, Any]]:
    """Return the messages that are queued for `session`."""
    taken = iter(lambda: session.send_queue.take(1_000), b"")
    return [json.loads(line) for line in b"".join(taken).splitlines()]
