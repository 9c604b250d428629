"""The service of feeds with a clock that a test moves and a source that it fills."""

import json
from collections.abc import Callable
from typing import Any, Final, Self

from chatd.core.session import Session
from chatd.core.timer_wheel import TimerWheel
from chatd.services.feed.items import Item
from chatd.services.feed.service import Feeds
from common.messages.feed import Person, Subscribe, Unsubscribe
from tests.support.fake_time import FakeTime
from tests.support.fakes import detached_send_queue

ANN: Final = Person("Ann", "ann", "ann@example.com", "1 Way", "Ann & Co", "1990-12-31", "555-1")
EPOCH_NS: Final = 1_795_245_060_000_000_000


class Clock(FakeTime):
    """Wall and monotonic time, moved together."""

    def wall_ns(self) -> int:
        """Return ns since the Unix epoch."""
        return EPOCH_NS + round(self.now * 1e9)


class FakeItemStream:
    """A stream whose items count up, as far as a test lets it."""

    def __init__(
        self, subscription: Subscribe, on_available: Callable[[], None], available: int
    ) -> None:
        self.taken = 0
        self._subscription = subscription
        self._on_available = on_available
        self._available = available

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item | None:
        if self.taken == self._available:
            return None
        self.taken += 1
        topics = self._subscription.topics
        if topics[(self.taken - 1) % len(topics)] == "user":
            return ANN
        return [self.taken] * self._subscription.size

    def make_available(self, number: int) -> None:
        """Let the stream have so many items more."""
        self._available += number
        self._on_available()


class FeedHarness:
    """The service, its wheel and its source; `available` items of a stream are there at once."""

    def __init__(self) -> None:
        self.time = Clock()
        self.wheel = TimerWheel(self.time.monotonic, self.time.set_timer)
        self.feeds = Feeds(self, self.wheel, self.time)
        self.available = 10**9
        self.streams: list[FakeItemStream] = []
        self.while_opening: Callable[[], None] = lambda: None

    async def open(
        self, subscription: Subscribe, on_available: Callable[[], None]
    ) -> FakeItemStream:
        self.while_opening()
        self.streams.append(FakeItemStream(subscription, on_available, self.available))
        return self.streams[-1]


class FakeSubscriber:
    """One connection without a socket: subscribes, and reads what its send queue holds."""

    local_host = "192.0.2.254"

    def __init__(self, harness: FeedHarness) -> None:
        self.send_queue = detached_send_queue()
        self.session = Session("192.0.2.1:40000", 0.0, self.send_queue, self)
        self._harness = harness

    async def subscribe(self, **fields: Any) -> None:
        await self._harness.feeds.subscribe(self.session, Subscribe(**fields))

    def unsubscribe(self) -> None:
        self._harness.feeds.unsubscribe(self.session, Unsubscribe())

    def write(self) -> bytes:
        """Take what is queued, as a connection does whose client reads."""
        written = b"".join(iter(lambda: self.send_queue.take(1_000), b""))
        if self.send_queue.on_drained is not None:
            self.send_queue.on_drained()
        return written

    def received(self) -> list[Any]:
        """Return what was written since the last time."""
        return [json.loads(line) for line in self.write().splitlines()]

    def numbers(self) -> list[int]:
        """Return the numbers of the messages written since the last time."""
        return [message["n"] for message in self.received()]

    def close_transport(self) -> None:
        self._harness.feeds.closed(self.session)

    async def drain(self) -> None:
        raise AssertionError("feeds wait for no session")
