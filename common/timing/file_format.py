"""The text format of time files: every stamp that was sent or received, block by block.

::

    Timestamp Data

    | # | Sender's IP | Receiver's IP | Date | Time |
    |---|-------------|---------------|------|------|
    | 1 | 127.0.0.1 | 127.0.0.1 | 2026-11-21 | 07:11:00.123456 |

    End of Timestamp Data (after 5 minutes)

``#`` counts through all blocks of a file. Dates and times are UTC, truncated to whole microseconds,
in the years 1970 to 9999. A blank line separates blocks. A block that broke off ends with ``(broken
off after 12.5 seconds)``, or with ``(broken off)`` when a later run closed it. Durations are whole
hours and minutes, and seconds to the millisecond: ``1 hour 30 minutes``, ``2 seconds``,
``0.25 seconds``.

Nothing here opens a file. All output is ASCII, so a character is a byte.
"""

import re
import time
from calendar import timegm
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from msgspec import Struct, field

_TITLE: Final = "Timestamp Data"
_COLUMNS: Final = "| # | Sender's IP | Receiver's IP | Date | Time |"
_RULE: Final = "|---|-------------|---------------|------|------|"
_START: Final = f"{_TITLE}\n\n{_COLUMNS}\n{_RULE}\n"
_BROKEN_OFF: Final = "\nEnd of Timestamp Data (broken off)\n"

_SECOND_FORMAT: Final = "%Y-%m-%d | %H:%M:%S"
_SECOND_NS: Final = 1_000_000_000
_MS_OF: Final = {"hour": 3_600_000, "minute": 60_000, "second": 1_000}

_TIME: Final = -len("07:11:00.123456Z")
_DATE: Final = _TIME - len("T")

_ADDRESS: Final = re.compile(r"[!-{}~]+")
_ROW: Final = re.compile(
    rf"\| ([1-9]\d*) \| ({_ADDRESS.pattern}) \| ({_ADDRESS.pattern}) "
    r"\| (\d{4}-\d\d-\d\d \| \d\d:\d\d:\d\d)\.(\d{6}) \|",
    re.ASCII,
)
_TERM: Final = re.compile(r"(\d+(?:\.\d{1,3})?) (hour|minute|second)s?", re.ASCII)
_END: Final = re.compile(
    r"End of Timestamp Data "
    rf"\((broken off|(?:broken off )?after ({_TERM.pattern}(?: {_TERM.pattern})*))\)",
    re.ASCII,
)


class Row(Struct, frozen=True, gc=False):
    """One stamp from `sender` to `receiver`; `at_ns` is a whole number of microseconds."""

    number: int
    sender: str
    receiver: str
    at_ns: int


class End(Struct, frozen=True):
    """How a block ended: as planned or `broken_off`, and after how many ns if the line says so."""

    broken_off: bool
    after_ns: int | None


class FileBlock(Struct):
    """The stamps of one run. `end` is None when the block was never closed.

    `torn` says that the file ends in the middle of a line, which is left out of `rows`.
    """

    rows: list[Row] = field(default_factory=list)
    end: End | None = None
    torn: bool = False


class Continuation(Struct, frozen=True):
    """How to append to a file.

    Remove the last `cut` bytes, an incomplete line. Then write `closing`, which ends a block that
    was left open. The next row has the number `last_number` + 1.
    """

    last_number: int
    cut: int
    closing: str


def block_start(*, first: bool) -> str:
    """Return the lines that open a block; pass `first` when the file is still empty."""
    return _START if first else f"\n{_START}"


def direction(sender: str, receiver: str) -> str:
    """Return the columns with both addresses; a row is this text followed by a moment.

    Raises ValueError for an address that could not be read back: one that is empty or contains
    white space, ``|`` or characters beyond ASCII.
    """
    for address in (sender, receiver):
        if not _ADDRESS.fullmatch(address):
            raise ValueError(
                f"{address!r} is not an address: it must be one word of ASCII without '|'"
            )
    return f"{sender} | {receiver} | "


def format_rows(first: int, rows: Iterable[str]) -> str:
    """Return a line for each of `rows`, numbered from `first`.

    A row is a `direction` followed by a moment as `common.protocol.timestamps` writes it.
    """
    return "".join(
        [
            f"| {number} | {row[:_DATE]} | {row[_TIME:-1]} |\n"
            for number, row in enumerate(rows, first)
        ]
    )


def block_end(duration_ns: int) -> str:
    """Return the lines that end a block that ran as planned, for `duration_ns` (>= 0)."""
    return f"\nEnd of Timestamp Data (after {_in_words(duration_ns)})\n"


def broken_end(duration_ns: int) -> str:
    """Return the lines that end a block that broke off after `duration_ns` (>= 0)."""
    return f"\nEnd of Timestamp Data (broken off after {_in_words(duration_ns)})\n"


def continue_after(tail: str) -> Continuation:
    """Return how to append to a file that ends with `tail`.

    The last 4 KiB are usually enough, decoded as latin-1 so that each byte is a character. If
    `last_number` is 0, the last twenty runs may have written no row: then pass a longer tail. An
    empty file ends with "".

    Raises ValueError when the file is not a time file: appending would damage it.
    """
    *lines, unfinished = tail.split("\n")
    closing = ""
    if _ROW.fullmatch(unfinished) or _END.fullmatch(unfinished):
        lines.append(unfinished)  # only the newline is missing
        unfinished, closing = "", "\n"
    final = next((line for line in reversed(lines) if line), "")
    ended = bool(_END.fullmatch(final))
    is_open = final in (_TITLE, _COLUMNS, _RULE) or bool(_ROW.fullmatch(final))
    is_new = not final and _START.startswith(unfinished)
    if not (ended or is_open or is_new):
        raise ValueError(
            f"the file ends with {(final or unfinished)[-80:]!r}, which is not timestamp data: "
            "choose another file, or move this one away"
        )
    numbers = (int(row[1]) for line in reversed(lines) if (row := _ROW.fullmatch(line)))
    return Continuation(
        last_number=next(numbers, 0),
        cut=len(unfinished),
        closing=closing + _BROKEN_OFF if is_open else closing,
    )


def parse_blocks(lines: Iterable[str]) -> Iterator[FileBlock]:
    """Yield the blocks of a file, given as lines with their newlines, such as an open file.

    A block that was never closed ends with the file or where the next one begins. Raises ValueError
    with the line's number for a line that is not timestamp data, unless it is an incomplete last
    line.
    """
    block: FileBlock | None = None
    for number, line in enumerate(lines, 1):
        text = line.rstrip()
        if not text:
            continue
        if text == _TITLE:
            if block:
                yield block
            block = FileBlock()
        elif block and (row := _ROW.fullmatch(text)):
            block.rows.append(_parse_row(row, number))
        elif block and (end := _END.fullmatch(text)):
            block.end = _parse_end(end)
            yield block
            block = None
        elif not line.endswith("\n") and (block or _TITLE.startswith(text)):
            block = block or FileBlock()
            block.torn = True
        elif not (block and text in (_COLUMNS, _RULE)):
            expected = "a row, or the end of the block" if block else _TITLE
            raise ValueError(f"line {number} is {text[:80]!r}, expected {expected}")
    if block:
        yield block


def _parse_row(row: re.Match[str], line: int) -> Row:
    number, sender, receiver, second, us = row.groups()
    try:
        seconds = _parse_second(second)
    except ValueError:
        raise ValueError(f"line {line} has {second!r}, expected a date and a time") from None
    return Row(int(number), sender, receiver, seconds * _SECOND_NS + int(us) * 1_000)


def _parse_end(end: re.Match[str]) -> End:
    terms = _TERM.findall(end[2] or "")
    after_ns = sum(round(float(number) * _MS_OF[unit]) for number, unit in terms) * 1_000_000
    return End(broken_off=end[1].startswith("broken"), after_ns=after_ns if terms else None)


def _in_words(duration_ns: int) -> str:
    minutes, ms = divmod((duration_ns + 500_000) // 1_000_000, 60_000)
    hours, minutes = divmod(minutes, 60)
    terms = ((f"{hours}", "hour"), (f"{minutes}", "minute"), (f"{ms / 1_000:g}", "second"))
    words = [f"{number} {unit}{'s' * (number != '1')}" for number, unit in terms if number != "0"]
    return " ".join(words) or "0 seconds"


@lru_cache(maxsize=64)
def _parse_second(text: str) -> int:
    return timegm(time.strptime(text, _SECOND_FORMAT))
