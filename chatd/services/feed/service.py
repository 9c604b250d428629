"""Feeds: random users and arrays, at an interval or as fast as their subscriber reads."""

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, Protocol, TypeAlias

from msgspec import UNSET

from chatd.core.router import Route, route
from chatd.core.send_queue import EncodedChunk
from chatd.core.session import Session
from chatd.core.timer_wheel import TICKS, TimerWheel
from chatd.services.feed.items import Item
from common.messages.base import Error, RejectedError
from common.messages.feed import Array, Block, Person, Subscribe, Subscribed, Unsubscribe, User
from common.protocol.codec import encode
from common.protocol.timestamps import format_time
from common.system.clock import Clock
from common.values import format_duration

logger: Final = logging.getLogger(__name__)

BURST: Final = 32 * 1024
"""Bytes queued for a subscriber from which on nothing is added before they are written.

One message is below 20 KiB, so that a feed alone stays below every send queue limit (from 64 KiB).
"""

MAX_CATCH_UP: Final = 8
"""Messages sent at once when the loop was held up; of a longer stall the rest is left out."""

PHASES: Final = 10
"""Ticks over which feeds are spread, whenever they begin: one is due at every tick in turn."""

_UNAVAILABLE: Final = (
    "this server cannot generate feeds: Faker or NumPy is not installed; its operator can "
    "install them with: pip install 'chatd[feed]'"
)


ItemStream: TypeAlias = Iterator[Item | None]
"""Items without end; None where the next is not there yet."""


class FeedSource(Protocol):
    """A source of items that never blocks."""

    async def open(self, subscription: Subscribe, on_available: Callable[[], None]) -> ItemStream:
        """Return the items of `subscription`; `on_available` is called when there are more.

        Raises ImportError where what makes them is not installed.
        """


class _Feed:
    """One subscription: numbers its items and queues them; subclasses decide when."""

    def __init__(self, session: Session, items: ItemStream, clock: Clock) -> None:
        self.sent = 0
        self._session = session
        self._items = items
        self._clock = clock

    def on_available(self) -> None:
        """Continue after there was no item to send."""

    def stop(self) -> None:
        """Send nothing more."""

    def _send(self, limit: int) -> None:
        """Queue up to `limit` messages, as many as are generated and fit into a burst."""
        send_queue, items = self._session.send_queue, self._items
        now = format_time(self._clock.wall_ns())
        lines: list[bytes] = []
        size = send_queue.size
        while len(lines) < limit and size < BURST and (item := next(items)) is not None:
            self.sent += 1
            lines.append(encode(_message(self.sent, now, item)))
            size += len(lines[-1])
        if lines:
            send_queue.put(EncodedChunk(b"".join(lines)))


class _PeriodicFeed(_Feed):
    """Sends message n at start + n x interval; `start` and `interval` in ticks.

    The schedule never shifts. While the subscriber does not read, nothing is sent.
    """

    def __init__(
        self,
        session: Session,
        items: ItemStream,
        clock: Clock,
        *,
        wheel: TimerWheel,
        start: int,
        interval: int,
    ) -> None:
        super().__init__(session, items, clock)
        self._wheel = wheel
        self._interval = interval
        self._tick = start + interval
        wheel.add(self._tick, self)

    def on_timer(self) -> None:
        """Send what is due and wait for the next time; the wheel calls this."""
        due = 1 + (self._wheel.now() - self._tick) // self._interval
        self._tick += due * self._interval
        self._wheel.add(self._tick, self)
        if not self._session.send_queue.is_blocked:
            self._send(min(due, MAX_CATCH_UP))

    def stop(self) -> None:
        """Take it off the wheel."""
        self._wheel.remove([(self._tick, self)])


class _OnDemandFeed(_Feed):
    """Sends a burst of messages whenever the last one has gone to the kernel."""

    def __init__(self, session: Session, items: ItemStream, clock: Clock) -> None:
        super().__init__(session, items, clock)
        session.send_queue.on_drained = self._send_burst
        self._send_burst()

    def on_available(self) -> None:
        """Fill an empty send queue; one that is not empty calls `_send_burst` itself."""
        send_queue = self._session.send_queue
        if not send_queue.size and not send_queue.is_blocked:
            self._send_burst()

    def stop(self) -> None:
        """Leave the send queue alone."""
        self._session.send_queue.on_drained = None

    def _send_burst(self) -> None:
        self._send(BURST)


class Feeds:
    """Gives each session one feed; `source` is where the items come from."""

    def __init__(self, source: FeedSource, wheel: TimerWheel, clock: Clock) -> None:
        self._source = source
        self._wheel = wheel
        self._clock = clock
        self._feeds: dict[Session, _Feed] = {}
        self._phase = 0

    @property
    def routes(self) -> Sequence[Route]:
        """The messages it serves."""
        return (
            route(Subscribe, self.subscribe),
            route(Unsubscribe, self.unsubscribe),
            route(Block, self.block),
        )

    async def subscribe(self, session: Session, message: Subscribe) -> None:
        """Start a feed when its first items are ready; an earlier feed runs until then."""
        try:
            items = await self._source.open(message, partial(self._on_available, session))
        except ImportError as error:
            logger.warning("%s: cannot feed: %s", session, error)
            raise RejectedError(Error("unsupported", _UNAVAILABLE, ref=message.ref)) from None
        if session.is_closing:
            return
        self._stop(session)
        logger.info("%s: feed of %s starts", session, _describe(message))
        if message.ref is not UNSET:
            session.send(Subscribed(message.ref))
        self._feeds[session] = self._start(session, items, message.interval_ms)

    def unsubscribe(self, session: Session, _message: Unsubscribe) -> None:
        """End the feed of the session, if it has one."""
        self._stop(session)

    def block(self, session: Session, message: Block) -> None:
        """Log how long a block took."""
        mark = ", interrupted" if message.interrupted else ""
        logger.info("%s: block of %d in %.3f s%s", session, message.count, message.seconds, mark)

    def closed(self, session: Session) -> None:
        """End the feed of a session that is gone."""
        self._stop(session)

    def _start(self, session: Session, items: ItemStream, interval_ms: int) -> _Feed:
        if not interval_ms:
            return _OnDemandFeed(session, items, self._clock)
        interval = interval_ms * TICKS // 1_000
        self._phase += 1
        now = self._wheel.tick_in(0)
        start = now + (self._phase - now) % min(PHASES, interval)
        return _PeriodicFeed(
            session, items, self._clock, wheel=self._wheel, start=start, interval=interval
        )

    def _stop(self, session: Session) -> None:
        feed = self._feeds.pop(session, None)
        if feed is not None:
            feed.stop()
            logger.info("%s: feed ends after %d messages", session, feed.sent)

    def _on_available(self, session: Session) -> None:
        feed = self._feeds.get(session)
        if feed is not None:
            feed.on_available()


def _message(number: int, sent: str, item: Item) -> User | Array:
    if isinstance(item, Person):
        return User(number, sent, item)
    return Array(number, sent, item)


def _describe(subscription: Subscribe) -> str:
    interval = subscription.interval_ms / 1_000
    pace = f"every {format_duration(interval)}" if interval else "as fast as it is read"
    return f"{' and '.join(subscription.topics)}, {pace},"
