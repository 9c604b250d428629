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
from chatctl.cli.event_text import describe
from chatctl.client.events import (
    Event,
    LogStartedOver,
    Receipt,
    Reconnected,
    Reconnecting,
    Undelivered,
)
from chatctl.errors import ClientError
from common.messages.base import Error
from common.messages.chat import (
    Incoming,
    IncomingBroadcast,
    Joined,
    Left,
    Outgoing,
    OutgoingBroadcast,
)
from common.names import fold
from common.protocol.text_format import escape_control
from common.protocol.timestamps import parse_time

MAX_PRESENCE_NOTICES: Final = 20
"""Users present above which joins and leaves are not shown."""

_MAX_PENDING_SHOWN: Final = 3
"""Unacknowledged messages shown at once."""

_MAX_CHOICES: Final = 30
"""Names shown where a completion is not sure."""

Renderer: TypeAlias = Callable[..., list[StyledLine]]
"""Returns the lines of an entry for a width, `columns`."""


@dataclass(frozen=True, eq=False)
class OwnMessage:
    """A message of ours on its way, typed `at`."""

    message: Outgoing | OutgoingBroadcast
    at: datetime


class _Entry(NamedTuple):
    order: tuple[int, int]
    at: datetime | None
    draw: Renderer


class Screen:
    """The state of one conversation of the person called `name`.

    `clock` returns the ns since the Unix epoch; times are shown as in `zone`, or as they are here.
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
        self._disconnect_reason = ""
        self._day = self._now().date()

    def on_event(self, event: Event) -> None:
        """Take an event of the client."""
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
            case Reconnecting(reason=reason):
                if not self._disconnect_reason:
                    self._add_notice(f"{escape_control(reason)}; reconnecting")
                self._disconnect_reason = escape_control(reason)
            case Reconnected():
                self._disconnect_reason = ""
                self._add_notice(str(describe(event)))
            case LogStartedOver():
                self._log_number, self._newest = self._log_number + 1, event.after
                self._add_notice(str(describe(event)))
            case _:
                if text := describe(event):
                    self._add_notice(text, is_error=isinstance(event, Error | Undelivered))

    def add_pending(self, message: Outgoing | OutgoingBroadcast) -> OwnMessage:
        """Note that `message` is on its way."""
        own = OwnMessage(message, self._now())
        self._pending[own] = None
        return own

    def acknowledged(self, own: OwnMessage, receipt: Receipt) -> None:
        """Note that a message is in the log."""
        self._add_own(own, (DIM_STYLE, f"  ✓ {format_round_trip(receipt.round_trip)}"), receipt.id)

    def failed(self, own: OwnMessage, error: ClientError) -> None:
        """Note that a message was not sent, and why."""
        self._add_own(own, (ERROR_STYLE, f"  ✗ {escape_control(str(error))}"))

    def set_present(self, users: Iterable[str]) -> None:
        """Note who is there."""
        self._present = {fold(name): name for name in users}

    def show_present(self, users: Iterable[str]) -> None:
        """Note who is there, and show it."""
        self.set_present(users)
        lines: list[StyledLine] = [[("", text)] for text in user_list(self._present.values())]
        self._add(lambda columns: lines)

    def show_error(self, error: ClientError) -> None:
        """Show what went wrong with something that is no message."""
        self._add_notice(escape_control(str(error)), is_error=True)

    def complete(self, typed: str) -> str:
        """Return `typed` with the name of somebody else completed; show the choices if need be."""
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
        """How many messages of ours nobody has acknowledged."""
        return len(self._pending)

    def take_lines(self, columns: int) -> list[StyledLine]:
        """Return the lines that are new since the last call, in the order of the log."""
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
        """Return the events of which all lines were taken, and that are new since the last call.

        Ask when the lines have been printed.
        """
        shown, self._shown = self._shown, []
        return shown

    def pending_lines(self, columns: int) -> list[StyledLine]:
        """Return what stands above the prompt for now."""
        pending = list(self._pending)
        lines = [self._draw_pending(own, columns) for own in pending[:_MAX_PENDING_SHOWN]]
        if len(pending) > _MAX_PENDING_SHOWN:
            lines.append([(DIM_STYLE, f"… {len(pending) - _MAX_PENDING_SHOWN} more are waiting")])
        if self._disconnect_reason:
            lines.append([(DIM_STYLE, f"not connected: {self._disconnect_reason}")])
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
        at = self._now()  # for the others too it is said now, however long it waited
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
        """Keep an entry; one without a `number` in the log stands behind all that have come."""
        self._newest = max(self._newest, number)
        self._entries.append(_Entry((self._log_number, number or self._newest), at, draw))

    def _now(self) -> datetime:
        return self._local(self._clock())

    def _when(self, sent: str) -> datetime:
        try:
            return self._local(parse_time(sent))
        except ValueError:  # a server that sends no time
            return self._now()

    def _local(self, ns: int) -> datetime:
        return datetime.fromtimestamp(ns / 1e9, self._zone)


def _own_author(message: Outgoing | OutgoingBroadcast) -> StyledLine:
    to = message.to if isinstance(message, Outgoing) else None
    return [("bold", "you"), *recipient(to)]


def _new_day(day: date) -> StyledLine:
    return [(DIM_STYLE, f"{day:%A} {day.isoformat()}")]
