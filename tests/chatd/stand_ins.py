"""What the parts of the daemon are given in tests instead of a clock, a loop, a file and Faker."""

from collections import deque
from collections.abc import Callable
from typing import Final

from chatd.services.feed import ItemStream
from common.messages.feed import Subscribe
from tests.chatd.fake_time import FakeTime

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
    """Stands in for the time file: keeps what was written, block by block."""

    def __init__(self) -> None:
        self.lost = 0
        self.rows: list[str] = []
        self.ends: list[tuple[int, bool]] = []
        self.blocks = 0

    async def open(self) -> None:
        """This one is always ready."""

    def start_block(self) -> None:
        """Begin a block."""
        self.blocks += 1

    def add(self, row: str) -> None:
        """Write a stamp."""
        self.rows.append(row)

    def end_block(self, duration_ns: int, *, broken_off: bool) -> None:
        """End the block."""
        self.ends.append((duration_ns, broken_off))


class UnavailableFeed:
    """Stands in for the generator where Faker is missing."""

    async def open(self, _subscription: Subscribe, _on_available: Callable[[], None]) -> ItemStream:
        """Refuse."""
        raise ImportError("no module named faker")
