"""The view of a chat: events and own messages in, lines of styled text out; no terminal.

Final lines are taken once and scroll away. Lines that may still change (an unacknowledged message,
a lost connection) stay above the prompt until they are final.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from functools import partial
from typing import Final, NamedTuple, TypeAlias

from msgspec import UNSET

from chatctl.chat.formatting import (
    DIM_STYLE,
    ERROR_STYLE,
    StyledLine,
    format_round_trip,
    message_lines,
    notice_lines,
    recipient,
    styled_author,
    user_list,
)
from chatctl.chat.input import complete
from chatctl.cli.event_text import describe, format_delay
from chatctl.client import (
    ChatMessage,
    ClientError,
    Error,
    Event,
    Incoming,
    IncomingBroadcast,
    Joined,
    Left,
    LogStartedOver,
    Outgoing,
    Receipt,
    Reconnected,
    Reconnecting,
    Undelivered,
)
from common.names import fold
from common.protocol.text_format import escape_control
from common.protocol.timestamps import parse_time

MAX_PRESENCE_NOTICES: Final = 20
"""With more users present, joins and leaves are not shown."""

_MAX_PENDING_SHOWN: Final = 3
"""Unacknowledged messages shown at once."""

_MAX_CHOICES: Final = 30
"""Names shown when a completion is ambiguous."""

Renderer: TypeAlias = Callable[..., list[StyledLine]]
"""Returns the lines of an entry for a width of `columns`."""


@dataclass(frozen=True, eq=False)
class OwnMessage:
    """Our own unacknowledged message, typed `at`."""

    message: ChatMessage
    at: datetime


class _Entry(NamedTuple):
    order: tuple[int, int]
    at: datetime | None
    draw: Renderer


class Screen:
    """The state of one conversation of the person called `name`.

    `clock` returns the ns since the Unix epoch; times are shown in `zone`, or in local time.
    """

    def __init__(
        self,
        name: str,
        present: Iterable[str] = (),
        clock: Callable[[], int] = time.time_ns,
        zone: tzinfo | None = None,
    ) -> None:
        self._own_name = fold(name)
        self._clock = clock
        self._zone = zone
        self._present = {fold(name): name for name in present}
        self._entries: list[_Entry] = []
        self._received: list[Event] = []
        self._shown: list[Event] = []
        self._pending: dict[OwnMessage, None] = {}
        self._log_number = 0
        self._newest = 0
        self._offline = ""
        self._day = self._now().date()

    def on_event(self, event: Event) -> None:
        """Add an event of the client."""
        self._received.append(event)
        match event:
            case Incoming() | IncomingBroadcast():
                self._add_delivery(event)
            case Joined(name=name):
                self._present[fold(name)] = name
                self._presence_changed(name, "joined")
            case Left(name=name):
                self._presence_changed(name, "left")
                self._present.pop(fold(name), None)
            case Reconnecting(reason=reason, delay=delay):
                if not self._offline:
                    self._add_notice(f"{escape_control(reason)}; reconnecting")
                self._offline = f"{escape_control(reason)}; next try {format_delay(delay)}"
            case Reconnected():
                self._offline = ""
                self._add_notice(str(describe(event)))
            case LogStartedOver():
                self._log_number, self._newest = self._log_number + 1, event.after
                self._add_notice(str(describe(event)))
            case _:
                if text := describe(event):
                    self._add_notice(text, is_error=isinstance(event, Error | Undelivered))

    def add_pending(self, message: ChatMessage) -> OwnMessage:
        """Show `message` as pending until it is `acknowledged` or `failed`."""
        own = OwnMessage(message, self._now())
        self._pending[own] = None
        return own

    def acknowledged(self, own: OwnMessage, receipt: Receipt) -> None:
        """Show that a message is in the log."""
        self._add_own(own, (DIM_STYLE, f"  ✓ {format_round_trip(receipt.round_trip)}"), receipt.id)

    def failed(self, own: OwnMessage, error: ClientError) -> None:
        """Show that a message was not delivered, and why."""
        self._add_own(own, (ERROR_STYLE, f"  ✗ {escape_control(str(error))}"))

    def set_present(self, users: Iterable[str]) -> None:
        """Set who is present."""
        self._present = {fold(name): name for name in users}

    def show_present(self, users: Iterable[str]) -> None:
        """Set who is present, and show it."""
        self.set_present(users)
        lines: list[StyledLine] = [[("", text)] for text in user_list(self._present.values())]
        self._add(lambda columns: lines)

    def show_error(self, error: ClientError) -> None:
        """Show an error that concerns no message."""
        self._add_notice(escape_control(str(error)), is_error=True)

    def complete(self, typed: str) -> str:
        """Return `typed` with the name of another user completed; show the choices if several."""
        others = [name for folded, name in self._present.items() if folded != self._own_name]
        text, choices = complete(typed, others)
        if choices:
            shown = "  ".join(map(escape_control, choices[:_MAX_CHOICES]))
            more = (
                f"  and {len(choices) - _MAX_CHOICES} more" if len(choices) > _MAX_CHOICES else ""
            )
            self._add(lambda columns: [[(DIM_STYLE, f"{shown}{more}")]])
        return text

    @property
    def pending(self) -> int:
        """The number of our unacknowledged messages."""
        return len(self._pending)

    def take_lines(self, columns: int) -> list[StyledLine]:
        """Return the final lines that are new since the last call, in the order of the log."""
        entries, self._entries = sorted(self._entries, key=lambda entry: entry.order), []
        self._shown += self._received
        self._received.clear()
        lines: list[StyledLine] = []
        for entry in entries:
            if entry.at is not None and entry.at.date() != self._day:
                self._day = entry.at.date()
                lines.append(_new_day(self._day))
            lines += entry.draw(columns=columns)
        return lines

    def shown(self) -> list[Event]:
        """Return the events whose lines were taken since the last call.

        Call this when the lines have been printed.
        """
        shown, self._shown = self._shown, []
        return shown

    def pending_lines(self, columns: int) -> list[StyledLine]:
        """Return the lines that stay above the prompt for now."""
        pending = list(self._pending)
        lines = [self._draw_pending(own, columns) for own in pending[:_MAX_PENDING_SHOWN]]
        if len(pending) > _MAX_PENDING_SHOWN:
            lines.append([(DIM_STYLE, f"… {len(pending) - _MAX_PENDING_SHOWN} more are waiting")])
        if self._offline:
            lines.append([(DIM_STYLE, f"offline: {self._offline}; messages are sent on reconnect")])
        return lines

    def _add_delivery(self, delivery: Incoming | IncomingBroadcast) -> None:
        at = self._when(delivery.sent or "")
        who = [styled_author(delivery.author)]
        if isinstance(delivery, Incoming):
            who += recipient("you")
        since = None if delivery.since is UNSET else delivery.since
        self._add(partial(message_lines, at, since, who, delivery.content), at, delivery.id or 0)

    def _add_own(self, own: OwnMessage, suffix: tuple[str, str], number: int = 0) -> None:
        del self._pending[own]
        at = self._now()  # the time that the others see, too, however long it waited
        who, content = _own_author(own.message), own.message.content
        self._add(partial(message_lines, at, None, who, content, [suffix]), at, number)

    def _draw_pending(self, own: OwnMessage, columns: int) -> StyledLine:
        first = own.message.content.partition("\n")[0][:columns]
        (line,) = message_lines(own.at, None, _own_author(own.message), first, columns=columns)
        return [(f"{style} {DIM_STYLE}", text) for style, text in line]

    def _presence_changed(self, name: str, how: str) -> None:
        if len(self._present) <= MAX_PRESENCE_NOTICES:
            self._add_notice(f"{escape_control(name)} {how}")

    def _add_notice(self, text: str, *, is_error: bool = False) -> None:
        at = self._now()
        self._add(partial(notice_lines, at, text, is_error=is_error), at)

    def _add(self, draw: Renderer, at: datetime | None = None, number: int = 0) -> None:
        """Add an entry; without a `number` in the log it goes after all entries so far."""
        self._newest = max(self._newest, number)
        self._entries.append(_Entry((self._log_number, number or self._newest), at, draw))

    def _now(self) -> datetime:
        return self._local(self._clock())

    def _when(self, sent: str) -> datetime:
        try:
            return self._local(parse_time(sent))
        except ValueError:  # the server sent no time
            return self._now()

    def _local(self, ns: int) -> datetime:
        return datetime.fromtimestamp(ns / 1e9, self._zone)


def _own_author(message: ChatMessage) -> StyledLine:
    to = message.to if isinstance(message, Outgoing) else None
    return [("bold", "you"), *recipient(to)]


def _new_day(day: date) -> StyledLine:
    return [(DIM_STYLE, f"{day:%A} {day.isoformat()}")]
