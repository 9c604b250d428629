"""Resuming after a lost connection: the client's position in the server's log; no sockets.

A `Cursor` knows the position. A `ReplayFilter` queues each message once and in order, and leaves
messages in the log while the queue has no space.
"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import UNSET, UnsetType, structs

from chatctl.client.event_queue import EventQueue
from chatctl.client.events import Event, LogStartedOver
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


class Cursor:
    """The accepted hello, the log of the server, and the position: the last id seen there.

    The ids of one log mean nothing in another. When the server returns with a new log, the
    position is the last id that both logs share.
    """

    def __init__(self) -> None:
        self._hello = Hello()
        self._log: str | UnsetType = UNSET
        self.is_registered = False
        """Whether the server has accepted a hello."""
        self.is_lagging = False
        """Whether messages were left in the log."""
        self.position = 0
        """The newest id that was seen, or skipped on purpose."""

    @property
    def name(self) -> str:
        """Our name on the server; empty before the welcome."""
        return self._hello.name or "" if self.is_registered else ""

    @property
    def token(self) -> str:
        """The token that proves the name."""
        return self._hello.token or ""

    def hello_sent(self, hello: Hello) -> None:
        """Note the hello that the next welcome answers."""
        self._hello = hello

    def resume_hello(self, *, has_capacity: bool) -> Hello:
        """Return the hello for a new connection: the same name, and the position to resume at.

        Without `has_capacity` it does not ask for the missed messages; they stay in the log.
        """
        self.is_lagging = not has_capacity
        after, log = (self.position, self._log) if has_capacity else (UNSET, UNSET)
        self._hello = structs.replace(self._hello, after=after, log=log)
        return self._hello

    def on_welcome(self, welcome: Welcome) -> bool:
        """Note that the hello was accepted; return whether the server has a new log.

        The server then sends all messages of the new log after the part that both logs share.
        """
        hello = self._hello
        is_another_log = hello.log is not UNSET and hello.log != welcome.log
        if is_another_log:
            self.position = welcome.after or 0
        elif not self.is_registered:
            # Without `after` the server replays nothing, and older messages were not missed.
            self.position = hello.after if hello.after is not UNSET else welcome.last or 0
        if not self.is_lagging:  # else the position is still an id of the old log
            self._log = welcome.log
        self.is_registered = True
        self._hello = structs.replace(
            hello, name=welcome.name or hello.name, token=welcome.token or hello.token
        )
        return is_another_log

    def accepts(self, delivery: Incoming | IncomingBroadcast) -> bool:
        """Tell whether `delivery` is new, and none before it was skipped."""
        return not self.is_lagging and (not delivery.id or delivery.id > self.position)

    def advance(self, delivery: Incoming | IncomingBroadcast) -> None:
        """Note that `delivery` is in the queue."""
        self.position = max(self.position, delivery.id or 0)

    def on_resumed(self, resumed: Resumed) -> None:
        """Note the end of the replay: all ids that follow are larger than its last."""
        if not self.is_lagging:
            self.position = resumed.last

    def mark_lagging(self) -> None:
        """Note that a message was skipped: it and all that follow must be sent again, in order."""
        self.is_lagging = True


class ReplayFilter:
    """Puts new messages into `queue`, and skips them while it is full."""

    def __init__(self, queue: EventQueue[Event]) -> None:
        self.cursor = Cursor()
        self._queue = queue

    @property
    def handlers(self) -> Mapping[type, Callable[[Any], object]]:
        """The handler of each type of message."""
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
        """Whether messages were skipped and there is space for them now."""
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
        # Without space for it, the server sends it again with the skipped messages.
        if not self.cursor.is_lagging and not self._queue.put(gap):
            self.cursor.mark_lagging()

    def _on_resumed(self, resumed: Resumed) -> None:
        self.cursor.on_resumed(resumed)
        # If messages were skipped, the replay ends at the first of them.
        self._queue.put(structs.replace(resumed, last=self.cursor.position))
