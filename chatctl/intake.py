"""What comes from the server's log: once and in order, and left there while there is no room."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import structs

from chatctl.events import Event, LogStartedOver
from chatctl.inbox import Inbox
from chatctl.place import Place
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


class Intake:
    """Puts into `inbox` what is new, and knows from where to go on."""

    def __init__(self, inbox: Inbox[Event]) -> None:
        self.place = Place()
        self._inbox = inbox

    @property
    def takers(self) -> Mapping[type, Callable[[Any], object]]:
        """What takes which kind of message."""
        return {
            Incoming: self._deliver,
            IncomingBroadcast: self._deliver,
            Joined: self._inbox.put,
            Left: self._inbox.put,
            Gap: self._note_gap,
            Resumed: self._resume,
        }

    @property
    def must_catch_up(self) -> bool:
        """Whether there is room again for what was left to the log."""
        return self.place.is_behind and not self._inbox

    def greet(self) -> Hello:
        """Return the hello for a new link."""
        return self.place.greet(has_room=not self._inbox.is_full)

    def welcomed(self, welcome: Welcome) -> None:
        """Note that a hello was accepted."""
        if self.place.welcomed(welcome):
            self._inbox.put(LogStartedOver(welcome.log or "", self.place.last))

    def _deliver(self, delivery: Incoming | IncomingBroadcast) -> None:
        if not self.place.accepts(delivery):
            return
        if self._inbox.put(delivery):
            self.place.saw(delivery)
        else:
            self.place.leave_to_log()

    def _note_gap(self, gap: Gap) -> None:
        # Without room for it, it is told again with what is left to the log.
        if not self.place.is_behind and not self._inbox.put(gap):
            self.place.leave_to_log()

    def _resume(self, resumed: Resumed) -> None:
        self.place.resumed(resumed)
        # Where a part was left to the log the program has come no further than that.
        self._inbox.put(structs.replace(resumed, last=self.place.last))
