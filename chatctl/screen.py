"""What a person in a chat sees: events and typed messages in, lines of text out; no terminal.

What is said for good is taken line by line and scrolls away. What may still change, a message of
ours that is not acknowledged or a connection that is lost, stands above the prompt until it has.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from functools import partial
from typing import Final, NamedTuple, TypeAlias

from msgspec import UNSET

from chatctl.completion import complete
from chatctl.errors import ClientError
from chatctl.events import (
    Event,
    LogStartedOver,
    Receipt,
    Reconnected,
    Reconnecting,
    Undelivered,
)
from chatctl.lines import QUIET, WRONG, Line, addressed, author, listing, remark, round_trip, speech
from chatctl.talk import describe
from common.messages.base import Error
from common.messages.chat import (
    Incoming,
    IncomingBroadcast,
    Joined,
    Left,
    Outgoing,
    OutgoingBroadcast,
)
from common.names import key
from common.text import visible
from common.timestamps import parse_time

CROWD: Final = 20
"""Present from which on coming and going is no news."""

_WAITING: Final = 3
"""Unacknowledged messages shown at once."""

_CHOICES: Final = 30
"""Names shown where a completion is not sure."""

Drawing: TypeAlias = Callable[..., list[Line]]
"""Returns the lines of an entry for a width, `columns`."""


@dataclass(frozen=True, eq=False)
class Own:
    """A message of ours on its way, typed `at`."""

    message: Outgoing | OutgoingBroadcast
    at: datetime


class _Entry(NamedTuple):
    order: tuple[int, int]
    at: datetime | None
    draw: Drawing


class Screen:
    """The state of one conversation of the person called `me`.

    `clock` tells the ns since the Unix epoch; times are shown as in `zone`, or as they are here.
    """

    def __init__(
        self,
        me: str,
        present: Iterable[str] = (),
        clock: Callable[[], int] = time.time_ns,
        zone: tzinfo | None = None,
    ) -> None:
        self._me = key(me)
        self._clock = clock
        self._zone = zone
        self._present = {key(name): name for name in present}
        self._entries: list[_Entry] = []
        self._heard: list[Event] = []
        self._shown: list[Event] = []
        self._waiting: dict[Own, None] = {}
        self._logs = 0
        self._newest = 0
        self._lost = ""
        self._day = self._now().date()

    def heard(self, event: Event) -> None:
        """Take what the client tells."""
        self._heard.append(event)
        match event:
            case Incoming() | IncomingBroadcast():
                self._hear(event)
            case Joined(name=name):
                self._present[key(name)] = name
                self._moved(name, "joined")
            case Left(name=name):
                self._moved(name, "left")
                self._present.pop(key(name), None)
            case Reconnecting(reason=reason):
                if not self._lost:
                    self._remark(f"{visible(reason)}; reconnecting")
                self._lost = visible(reason)
            case Reconnected():
                self._lost = ""
                self._remark(str(describe(event)))
            case LogStartedOver():
                self._logs, self._newest = self._logs + 1, event.after
                self._remark(str(describe(event)))
            case _:
                if text := describe(event):
                    self._remark(text, is_wrong=isinstance(event, Error | Undelivered))

    def typed(self, message: Outgoing | OutgoingBroadcast) -> Own:
        """Note that `message` is on its way."""
        own = Own(message, self._now())
        self._waiting[own] = None
        return own

    def acknowledged(self, own: Own, receipt: Receipt) -> None:
        """Note that a message is in the log."""
        self._settle(own, (QUIET, f"  ✓ {round_trip(receipt.round_trip)}"), receipt.id)

    def failed(self, own: Own, error: ClientError) -> None:
        """Note that a message was not sent, and why."""
        self._settle(own, (WRONG, f"  ✗ {visible(str(error))}"))

    def present(self, users: Iterable[str]) -> None:
        """Note who is there."""
        self._present = {key(name): name for name in users}

    def show_present(self, users: Iterable[str]) -> None:
        """Note who is there, and show it."""
        self.present(users)
        lines: list[Line] = [[("", text)] for text in listing(self._present.values())]
        self._add(lambda columns: lines)

    def show_failure(self, error: ClientError) -> None:
        """Show what went wrong with something that is no message."""
        self._remark(visible(str(error)), is_wrong=True)

    def complete(self, typed: str) -> str:
        """Return `typed` with the name of somebody else completed; show the choices if need be."""
        others = [name for folded, name in self._present.items() if folded != self._me]
        text, choices = complete(typed, others)
        if choices:
            shown = "  ".join(map(visible, choices[:_CHOICES]))
            more = f"  and {len(choices) - _CHOICES} more" if len(choices) > _CHOICES else ""
            self._add(lambda columns: [[(QUIET, f"{shown}{more}")]])
        return text

    @property
    def waiting(self) -> int:
        """How many messages of ours nobody has acknowledged."""
        return len(self._waiting)

    def take(self, columns: int) -> list[Line]:
        """Return the lines that are new since the last call, in the order of the log."""
        entries, self._entries = sorted(self._entries, key=lambda entry: entry.order), []
        self._shown += self._heard
        self._heard.clear()
        lines: list[Line] = []
        for entry in entries:
            if entry.at is not None and entry.at.date() != self._day:
                self._day = entry.at.date()
                lines.append(_new_day(self._day))
            lines += entry.draw(columns=columns)
        return lines

    def shown(self) -> list[Event]:
        """Return what was heard of which all lines were taken, and that is new since the last call.

        Ask when the lines have been printed.
        """
        shown, self._shown = self._shown, []
        return shown

    def above(self, columns: int) -> list[Line]:
        """Return what stands above the prompt for now."""
        waiting = list(self._waiting)
        lines = [self._draw_waiting(own, columns) for own in waiting[:_WAITING]]
        if len(waiting) > _WAITING:
            lines.append([(QUIET, f"… {len(waiting) - _WAITING} more are waiting")])
        if self._lost:
            lines.append([(QUIET, f"not connected: {self._lost}")])
        return lines

    def _hear(self, delivery: Incoming | IncomingBroadcast) -> None:
        at = self._when(delivery.sent or "")
        who = [author(delivery.author)]
        if isinstance(delivery, Incoming):
            who += addressed("you")
        since = None if delivery.since is UNSET else delivery.since
        self._add(partial(speech, at, since, who, delivery.content), at, delivery.id or 0)

    def _settle(self, own: Own, outcome: tuple[str, str], number: int = 0) -> None:
        del self._waiting[own]
        at = self._now()  # for the others too it is said now, however long it waited
        who, content = _ours(own.message), own.message.content
        self._add(partial(speech, at, None, who, content, [outcome]), at, number)

    def _draw_waiting(self, own: Own, columns: int) -> Line:
        first = own.message.content.partition("\n")[0][:columns]
        (line,) = speech(own.at, None, _ours(own.message), first, columns=columns)
        return [(f"{style} {QUIET}", text) for style, text in line]

    def _moved(self, name: str, how: str) -> None:
        if len(self._present) <= CROWD:
            self._remark(f"{visible(name)} {how}")

    def _remark(self, text: str, *, is_wrong: bool = False) -> None:
        at = self._now()
        self._add(partial(remark, at, text, is_wrong=is_wrong), at)

    def _add(self, draw: Drawing, at: datetime | None = None, number: int = 0) -> None:
        """Keep an entry; one without a `number` in the log stands behind all that have come."""
        self._newest = max(self._newest, number)
        self._entries.append(_Entry((self._logs, number or self._newest), at, draw))

    def _now(self) -> datetime:
        return self._local(self._clock())

    def _when(self, sent: str) -> datetime:
        try:
            return self._local(parse_time(sent))
        except ValueError:  # a server that does not tell
            return self._now()

    def _local(self, ns: int) -> datetime:
        return datetime.fromtimestamp(ns / 1e9, self._zone)


def _ours(message: Outgoing | OutgoingBroadcast) -> Line:
    to = message.to if isinstance(message, Outgoing) else None
    return [("bold", "you"), *addressed(to)]


def _new_day(day: date) -> Line:
    return [(QUIET, f"{day:%A} {day.isoformat()}")]
