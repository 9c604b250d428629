"""Events in words for a person: the connection, and messages of earlier runs."""

from collections import Counter
from typing import Final

from chatctl.client import (
    ChatMessage,
    Delivered,
    Error,
    Event,
    Gap,
    LogStartedOver,
    Outgoing,
    Reconnected,
    Reconnecting,
    Undelivered,
)
from common.protocol.text_format import escape_control
from common.values import format_duration

_EXCERPT_LENGTH: Final = 40
"""Characters of a message that are quoted."""

MAX_DESCRIBED: Final = 10
"""Messages of earlier runs that are described one by one."""


def describe(event: Event) -> str | None:
    """Return a sentence about `event`, or None for messages and other events without one."""
    match event:
        case Reconnecting(reason=reason, delay=delay):
            return f"{escape_control(reason)}; trying again {format_delay(delay)}"
        case Reconnected(away=away):
            return f"reconnected after {format_duration(round(away, 1))}"
        case LogStartedOver(after=after) if after:
            return f"the server lost messages after number {after}; the messages it has follow"
        case LogStartedOver():
            return "the server has started a new log; earlier messages may be missing"
        case Gap(first=first):
            return f"the server no longer keeps messages before number {first}; you missed some"
        case Delivered(message=message, duplicate=duplicate):
            how = "had already been delivered" if duplicate else "was delivered now"
            return f"an earlier message {_quote(message)} {how}"
        case Undelivered(message=message, error=error, is_kept=is_kept):
            then = "; it will be sent again next time" if is_kept else ""
            detail = escape_control(error.detail)
            return f"an earlier message {_quote(message)} was refused: {detail}{then}"
        case Error(detail=detail):
            return escape_control(detail)
    return None


class Overflow:
    """Counts the messages of earlier runs that are too many to describe one by one."""

    def __init__(self) -> None:
        self._outcomes: Counter[str] = Counter()
        self._described = 0

    def absorb(self, event: Event) -> bool:
        """Return whether `event` is only counted, not described."""
        if not isinstance(event, Delivered | Undelivered):
            return False
        if self._described < MAX_DESCRIBED:
            self._described += 1
            return False
        self._outcomes["delivered" if isinstance(event, Delivered) else "refused"] += 1
        return True

    def __str__(self) -> str:
        """Return the counts; "" if there are none."""
        parts = ", ".join(f"{count} {outcome}" for outcome, count in self._outcomes.items())
        return parts and f"more earlier messages: {parts}"


def describe_unacknowledged(count: int, name: str) -> str:
    """Return a sentence about `count` messages of `name` that stay in the outbox."""
    messages, them = (f"{count} messages are", "them") if count > 1 else ("1 message is", "it")
    login = f"the next login as {escape_control(name)}"
    return f"{messages} not acknowledged yet; {login} sends {them}"


def format_delay(seconds: float) -> str:
    """Return ``in 3s``, or ``now``."""
    delay = round(seconds, 1)
    return f"in {format_duration(delay)}" if delay else "now"


def _quote(message: ChatMessage) -> str:
    to = f"to {escape_control(message.to)}" if isinstance(message, Outgoing) else "to everyone"
    text = message.content[:_EXCERPT_LENGTH]
    more = "…" if len(message.content) > _EXCERPT_LENGTH else ""
    return f"{to} (“{escape_control(text)}{more}”)"
