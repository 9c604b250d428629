"""Feeds: random users and arrays, at an interval or as fast as their subscriber reads."""

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, Protocol, TypeAlias

from msgspec import UNSET

from chatd.clock import Clock
from chatd.outbox import EncodedChunk
from chatd.routes import Route, route
from chatd.session import Session
from chatd.stock import Item
from chatd.wheel import TICKS, Wheel
from common.codec import encode
from common.messages.base import Error, Refusal
from common.messages.feed import Array, Block, Person, Subscribe, Subscribed, Unsubscribe, User
from common.timestamps import format_time
from common.units import format_duration

logger: Final = logging.getLogger(__name__)

ROUND: Final = 32 * 1024
"""Bytes queued for a subscriber from which on nothing is added before they are written.

One message is below 20 KiB, so that a feed alone stays below every send queue limit (from 64 KiB).
"""

CATCH_UP: Final = 8
"""Messages sent at once when the loop was held up; of a longer stall the rest is left out."""

PHASES: Final = 10
"""Ticks over which feeds are spread, whenever they begin: one is due at every tick in turn."""

_MISSING: Final = (
    "this server has nothing to feed: what makes users and arrays is not installed; its operator "
    "can add it with: pip install 'chatd[feed]'"
)


Stream: TypeAlias = Iterator[Item | None]
"""Items without end; None where the next is not there yet."""


class Source(Protocol):
    """Where the items come from; nothing here blocks."""

    async def open(self, order: Subscribe, ready: Callable[[], None]) -> Stream:
        """Return the items of `order`; `ready` is called when there are more than there were.

        Raises ImportError where what makes them is not installed.
        """


class _Feed:
    """One subscription: numbers its items and queues them; when is for the kinds of it to say."""

    def __init__(self, session: Session, stream: Stream, clock: Clock) -> None:
        self.sent = 0
        self._session = session
        self._stream = stream
        self._clock = clock

    def resume(self) -> None:
        """Go on where there was no item to send."""

    def stop(self) -> None:
        """Send nothing more."""

    def _send(self, most: int) -> None:
        """Queue `most` messages, or as many as are drawn and have room."""
        send_queue, stream = self._session.send_queue, self._stream
        now = format_time(self._clock.wall_ns())
        size, lines = send_queue.size, list[bytes]()
        while len(lines) < most and size < ROUND and (item := next(stream)) is not None:
            self.sent += 1
            lines.append(encode(_message(self.sent, now, item)))
            size += len(lines[-1])
        if lines:
            send_queue.put(EncodedChunk(b"".join(lines)))


class _Paced(_Feed):
    """Sends message n at start + n x interval; `start` and `interval` in ticks.

    The grid never shifts. While the subscriber does not read, its moments pass without a message.
    """

    def __init__(
        self,
        session: Session,
        stream: Stream,
        clock: Clock,
        *,
        wheel: Wheel,
        start: int,
        interval: int,
    ) -> None:
        super().__init__(session, stream, clock)
        self._wheel = wheel
        self._interval = interval
        self._tick = start + interval
        wheel.add(self._tick, self)

    def fire(self) -> None:
        """Send what is due and wait for the next moment; the wheel calls this."""
        due = 1 + (self._wheel.now() - self._tick) // self._interval
        self._tick += due * self._interval
        self._wheel.add(self._tick, self)
        if not self._session.send_queue.is_blocked:
            self._send(min(due, CATCH_UP))

    def stop(self) -> None:
        """Take it off the wheel."""
        self._wheel.remove([(self._tick, self)])


class _Eager(_Feed):
    """Sends a round of messages whenever the last one has gone to the kernel."""

    def __init__(self, session: Session, stream: Stream, clock: Clock) -> None:
        super().__init__(session, stream, clock)
        session.send_queue.on_drained = self._fill
        self._fill()

    def resume(self) -> None:
        """Fill a send queue that ran empty; another one asks by itself."""
        send_queue = self._session.send_queue
        if not send_queue.size and not send_queue.is_blocked:
            self._fill()

    def stop(self) -> None:
        """Leave the send queue alone."""
        self._session.send_queue.on_drained = None

    def _fill(self) -> None:
        self._send(ROUND)


class Feeds:
    """Gives each session one feed; `source` is where the items come from."""

    def __init__(self, source: Source, wheel: Wheel, clock: Clock) -> None:
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
        """Start a feed when its first items are there; one that runs goes on until then."""
        try:
            stream = await self._source.open(message, partial(self._resume, session))
        except ImportError as fault:
            logger.warning("%s: cannot feed: %s", session, fault)
            raise Refusal(Error("unsupported", _MISSING, ref=message.ref)) from None
        if session.is_closing:
            return
        self._stop(session)
        logger.info("%s: feed of %s begins", session, _described(message))
        if message.ref is not UNSET:
            session.send(Subscribed(message.ref))
        self._feeds[session] = self._start(session, stream, message.interval_ms)

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

    def _start(self, session: Session, stream: Stream, interval_ms: int) -> _Feed:
        if not interval_ms:
            return _Eager(session, stream, self._clock)
        interval = interval_ms * TICKS // 1_000
        self._phase += 1
        now = self._wheel.tick_in(0)
        start = now + (self._phase - now) % min(PHASES, interval)
        return _Paced(
            session, stream, self._clock, wheel=self._wheel, start=start, interval=interval
        )

    def _stop(self, session: Session) -> None:
        feed = self._feeds.pop(session, None)
        if feed is not None:
            feed.stop()
            logger.info("%s: feed ends after %d messages", session, feed.sent)

    def _resume(self, session: Session) -> None:
        feed = self._feeds.get(session)
        if feed is not None:
            feed.resume()


def _message(number: int, sent: str, item: Item) -> User | Array:
    if isinstance(item, Person):
        return User(number, sent, item)
    return Array(number, sent, item)


def _described(order: Subscribe) -> str:
    interval = order.interval_ms / 1_000
    pace = f"every {format_duration(interval)}" if interval else "as fast as it is read"
    return f"{' and '.join(order.topics)}, {pace},"
