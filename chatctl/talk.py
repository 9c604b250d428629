"""What a person is told about the connection itself."""

from chatctl.events import Event, Reconnected, Reconnecting
from common.messages.base import Error
from common.messages.chat import Resumed
from common.text import visible
from common.units import format_duration


def describe(event: Event) -> str | None:
    """Return a sentence about `event`, or None for messages and for what needs no word."""
    match event:
        case Reconnecting(reason=reason, delay=delay):
            return f"{visible(reason)}; trying again in {format_duration(round(delay, 1))}"
        case Reconnected(away=away, log_lost=log_lost):
            lost = "; the server lost its log, messages may be missing" if log_lost else ""
            return f"connected again after {format_duration(round(away, 1))}{lost}"
        case Resumed(gap=True, first=first):
            return f"messages before number {first} are no longer kept, some were missed"
        case Error(detail=detail):
            return visible(detail)
    return None
