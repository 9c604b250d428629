"""What a person reads about the connection itself."""

from collections import Counter
from typing import Final

from chatctl.client.events import (
    Delivered,
    Event,
    LogStartedOver,
    Reconnected,
    Reconnecting,
    Undelivered,
)
from chatctl.client.journal import ChatMessage
from common.messages.base import Error
from common.messages.chat import Gap, Outgoing
from common.protocol.text_format import escape_control
from common.values import format_duration

_EXCERPT_LENGTH: Final = 40
"""Characters shown of a message."""

MAX_DESCRIBED: Final = 10
"""Messages of earlier runs that get a sentence each."""


def describe(event: Event) -> str | None:
    """Return a sentence about `event`, or None for messages and for what needs no word."""
    match event:
        case Reconnecting(reason=reason, delay=delay):
            return f"{escape_control(reason)}; trying again in {format_duration(round(delay, 1))}"
        case Reconnected(away=away):
            return f"connected again after {format_duration(round(away, 1))}"
        case LogStartedOver(after=after) if after:
            return f"the server lost some messages after number {after}; what it has there follows"
        case LogStartedOver():
            return "the server's log started over: messages from before it may be missing"
        case Gap(first=first):
            return f"messages before number {first} are no longer kept, some were missed"
        case Delivered(message=message, duplicate=duplicate):
            how = "had arrived before" if duplicate else "has arrived now"
            return f"{_name(message)} of before was not acknowledged; it {how}"
        case Undelivered(message=message, error=error, is_kept=is_kept):
            then = "; it is kept and sent again next time" if is_kept else ""
            return f"{_name(message)} of before was refused: {escape_control(error.detail)}{then}"
        case Error(detail=detail):
            return escape_control(detail)
    return None


class Overflow:
    """Those of many messages of earlier runs that get no sentence of their own."""

    def __init__(self) -> None:
        self._outcomes: Counter[str] = Counter()
        self._described = 0

    def absorb(self, event: Event) -> bool:
        """Return whether `event` is about one of them."""
        if not isinstance(event, Delivered | Undelivered):
            return False
        if self._described < MAX_DESCRIBED:
            self._described += 1
            return False
        self._outcomes["arrived" if isinstance(event, Delivered) else "refused"] += 1
        return True

    def __str__(self) -> str:
        """Return what became of them; "" if there are none."""
        parts = ", ".join(f"{count} {outcome}" for outcome, count in self._outcomes.items())
        return parts and f"more messages of before: {parts}"


def describe_unacknowledged(count: int, name: str) -> str:
    """Return a sentence about messages of `name` that stay in the outbox."""
    messages = f"{count} messages are" if count > 1 else "1 message is"
    return f"{messages} not acknowledged, and sent when {escape_control(name)} is back"


def _name(message: ChatMessage) -> str:
    to = f"to {escape_control(message.to)}" if isinstance(message, Outgoing) else "to all"
    text = message.content[:_EXCERPT_LENGTH]
    more = "…" if len(message.content) > _EXCERPT_LENGTH else ""
    return f"the message {to}, “{escape_control(text)}{more}”,"
