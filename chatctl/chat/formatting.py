"""The layout of a chat: messages and notices as lines of styled text; no terminal.

A line is a list of (style, text), as prompt_toolkit takes it. The terminal itself wraps long lines,
so that they reflow with the window and are copied without breaks.
"""

import zlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, TypeAlias

from common import names
from common.protocol.text_format import escape_control
from common.values import Address

StyledLine: TypeAlias = list[tuple[str, str]]

DIM_STYLE: Final = "dim"
ERROR_STYLE: Final = "fg:#d7005f"

PALETTE: Final = (
    "#af5f00",
    "#5f8700",
    "#00875f",
    "#0087af",
    "#5f5fff",
    "#af00ff",
    "#d700af",
)
"""Of the 256 colours of every terminal, some with a contrast above 4 on black and on white."""

NARROW: Final = 60
"""Columns below which times are shortened."""

_MAX_LINES: Final = 100
"""Lines shown of one message, lest one message push everything else off the screen."""

_TAB: Final = 4
_UNITS: Final = ((86_400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s"))


def message_lines(
    at: datetime,
    since: int | None,
    who: StyledLine,
    content: str,
    suffix: Sequence[tuple[str, str]] = (),
    *,
    columns: int,
) -> list[StyledLine]:
    """Return a message: its time, the author's `since` (s), `who` to whom, the text, a `suffix`.

    A bar precedes each further line of the text, in a column that no author can write to.
    """
    before = prefix(at, since, columns)
    first, *more = _printable(content)
    lines = [[(DIM_STYLE, before), *who, ("", f": {first}")]]
    lines += ([(DIM_STYLE, " " * len(before) + "| "), ("", text)] for text in more)
    lines[-1] += suffix
    return lines


def notice_lines(
    at: datetime, text: str, *, is_error: bool = False, columns: int
) -> list[StyledLine]:
    """Return a sentence of the program itself, in the same columns as messages."""
    style, mark = (ERROR_STYLE, "!") if is_error else (DIM_STYLE, "*")
    return [[(DIM_STYLE, prefix(at, None, columns)), (style, f"{mark} {text}")]]


def banner(server: Address) -> str:
    """Return the first line of a chat."""
    return f"connecting to server at {server.host}, {server.port}"


def user_list(users: Iterable[str]) -> list[str]:
    """Return a heading, the users present, one a line, and an empty line."""
    return ["current users:", *map(escape_control, users), ""]


def prefix(at: datetime, since: int | None, columns: int) -> str:
    """Return the columns before a message: its time, and the author's seconds."""
    age = "" if since is None else format_elapsed(since)
    if columns < NARROW:
        return f"{at:%H:%M} {age} " if age else f"{at:%H:%M} "
    return f"{at:%H:%M:%S} {age:>6}  "


def styled_author(name: str) -> tuple[str, str]:
    """Return a name in its colour, which is the same always and everywhere."""
    colour = PALETTE[zlib.crc32(names.fold(name).encode("utf-8", "replace")) % len(PALETTE)]
    return f"bold fg:{colour}", escape_control(name)


def recipient(to: str | None) -> StyledLine:
    """Return the recipient, as it follows the author; nothing if everyone is."""
    return [] if to is None else [("", f" (to {escape_control(to)})")]


def format_elapsed(seconds: float) -> str:
    """Format a time (s) in at most six characters: ``12s``, ``3m04s``, ``12h05m``, ``5d03h``."""
    whole = max(0, round(seconds))
    for size, unit, part_size, part in _UNITS:
        if whole >= size:
            count, remainder = divmod(whole, size)
            return (
                f"{count}{unit}{remainder // part_size:02}{part}"
                if count < 60
                else f"{count}{unit}"
            )
    return f"{whole}s"


def format_round_trip(seconds: float) -> str:
    """Format the time (s) that an answer took."""
    if seconds < 0.01:
        return f"{seconds * 1e3:.1f} ms"
    if seconds < 1:
        return f"{seconds * 1e3:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 60 else format_elapsed(seconds)


def _printable(content: str) -> list[str]:
    texts = [
        escape_control(text.expandtabs(_TAB)) for text in content.replace("\r\n", "\n").split("\n")
    ]
    hidden = len(texts) - _MAX_LINES
    return texts if hidden <= 0 else [*texts[:_MAX_LINES], f"… {hidden} more lines"]
