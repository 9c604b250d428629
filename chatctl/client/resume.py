"""The client's position in the server's log, so that it can resume there; no sockets.

What comes from the server's log: once and in order, and left there while there is no room.
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
    """The hello that was accepted, the log it was said to, and the last id seen there.

    Ids of one log mean nothing in another: when the server comes back with a new log, the last id
    seen is the last that both have in common.
    """

    def __init__(self) -> None:
        self._hello = Hello()
        self._log: str | UnsetType = UNSET
        self.is_registered = False
        """Whether the server has accepted a hello."""
        self.is_lagging = False
        """Whether deliveries were left to the log."""
        self.position = 0
        """The newest id that was seen, or is of no interest."""

    @property
    def name(self) -> str:
        """The name that the server knows us by; empty before the welcome."""
        return self._hello.name or "" if self.is_registered else ""

    @property
    def token(self) -> str:
        """The token that proves the name."""
        return self._hello.token or ""

    def hello_sent(self, hello: Hello) -> None:
        """Note the hello that the next welcome answers."""
        self._hello = hello

    def resume_hello(self, *, has_capacity: bool) -> Hello:
        """Return the hello for a new connection: the same person, from the last id seen on.

        Without room for what was missed it is not asked for yet; it stays in the log.
        """
        self.is_lagging = not has_capacity
        after, log = (self.position, self._log) if has_capacity else (UNSET, UNSET)
        self._hello = structs.replace(self._hello, after=after, log=log)
        return self._hello

    def on_welcome(self, welcome: Welcome) -> bool:
        """Note that the hello was accepted; return whether the log is another than it spoke of.

        The server then sends all that the new log holds after what is the same in both.
        """
        hello = self._hello
        is_another_log = hello.log is not UNSET and hello.log != welcome.log
        if is_another_log:
            self.position = welcome.after or 0
        elif not self.is_registered:
            # Without `after` nothing is replayed: what came before this moment was not missed.
            self.position = hello.after if hello.after is not UNSET else welcome.last or 0
        if not self.is_lagging:  # else the id is still one of the old log
            self._log = welcome.log
        self.is_registered = True
        self._hello = structs.replace(
            hello, name=welcome.name or hello.name, token=welcome.token or hello.token
        )
        return is_another_log

    def accepts(self, delivery: Incoming | IncomingBroadcast) -> bool:
        """Tell whether `delivery` is new, and in turn."""
        return not self.is_lagging and (not delivery.id or delivery.id > self.position)

    def advance(self, delivery: Incoming | IncomingBroadcast) -> None:
        """Note that the program has `delivery`."""
        self.position = max(self.position, delivery.id or 0)

    def on_resumed(self, resumed: Resumed) -> None:
        """Note that the replay is over: whatever follows has a larger id than its last."""
        if not self.is_lagging:
            self.position = resumed.last

    def mark_lagging(self) -> None:
        """Note that a delivery was not kept: it and what follows must come again, in order."""
        self.is_lagging = True


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
