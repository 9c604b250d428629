"""What comes from the server's log: once and in order, and left there while there is no room."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import structs

from chatctl.events import Event, LogStartedOver
from chatctl.inbox import EventQueue
from chatctl.place import Cursor
from common.messages.chat import (
    Gap,
    Hello,
    Incoming,
    IncomingBroadcast,
    Joined,
    Left,
    Resumed,
    Welcome,
)


class ReplayFilter:
    """Puts into `queue` what is new, and knows from where to go on."""

    def __init__(self, queue: EventQueue[Event]) -> None:
        self.cursor = Cursor()
        self._queue = queue

    @property
    def handlers(self) -> Mapping[type, Callable[[Any], object]]:
        """What takes which kind of message."""
        return {
            Incoming: self._on_delivery,
            IncomingBroadcast: self._on_delivery,
            Joined: self._queue.put,
            Left: self._queue.put,
            Gap: self._on_gap,
            Resumed: self._on_resumed,
        }

    @property
    def must_catch_up(self) -> bool:
        """Whether there is room again for what was left to the log."""
        return self.cursor.is_lagging and not self._queue

    def resume_hello(self) -> Hello:
        """Return the hello for a new connection."""
        return self.cursor.resume_hello(has_capacity=not self._queue.is_full)

    def on_welcome(self, welcome: Welcome) -> None:
        """Note that a hello was accepted."""
        if self.cursor.on_welcome(welcome):
            self._queue.put(LogStartedOver(welcome.log or "", self.cursor.position))

    def _on_delivery(self, delivery: Incoming | IncomingBroadcast) -> None:
        if not self.cursor.accepts(delivery):
            return
        if self._queue.put(delivery):
            self.cursor.advance(delivery)
        else:
            self.cursor.mark_lagging()

    def _on_gap(self, gap: Gap) -> None:
        # Without room for it, it comes again with what is left to the log.
        if not self.cursor.is_lagging and not self._queue.put(gap):
            self.cursor.mark_lagging()

    def _on_resumed(self, resumed: Resumed) -> None:
        self.cursor.on_resumed(resumed)
        # Where a part was left to the log the program has come no further than that.
        self._queue.put(structs.replace(resumed, last=self.cursor.position))
