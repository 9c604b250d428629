"""How one setting of the daemon is written, explained and read."""

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, NamedTuple


class Option(NamedTuple):
    """How a setting is written and explained; `parse` raises ValueError.

    `flag_value` is what the flag means without a value, where that is allowed. An action is done
    instead of serving, so only a flag can ask for it.
    """

    parse: Callable[[str], Any]
    metavar: str
    help: str
    flag_value: str | None = None
    is_action: bool = False


def parse_switch(text: str) -> bool:
    """Return what ``yes``, ``true``, ``on``, ``1`` or their opposites say; raises ValueError."""
    match text.lower():
        case "yes" | "true" | "on" | "1":
            return True
        case "no" | "false" | "off" | "0":
            return False
    raise ValueError(f"{text!r} is neither yes nor no")


def parse_locale(text: str) -> str:
    """Return a locale of Faker, or any text where that is missing; raises ValueError."""
    try:
        from faker.config import AVAILABLE_LOCALES  # noqa: PLC0415 - an extra
    except ImportError:
        return text
    if text in AVAILABLE_LOCALES:
        return text
    close = get_close_matches(text, AVAILABLE_LOCALES, n=3, cutoff=0.5)
    hint = f"; there are {', '.join(close)}" if close else ""
    raise ValueError(f"{text!r} is not a locale of Faker: write it as en_US or de_DE{hint}")
