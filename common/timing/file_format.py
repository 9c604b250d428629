"""The text format of time files: every stamp that was sent or received, block by block.

::

    Timestamp Data

    | # | Sender's IP | Receiver's IP | Date | Time |
    |---|-------------|---------------|------|------|
    | 1 | 127.0.0.1 | 127.0.0.1 | 2026-11-21 | 07:11:00.123456 |

    End of Timestamp Data (after 5 minutes)

``#`` counts on within a file, through all of its blocks. Dates and times are UTC, cut to whole
microseconds, in the years 1970 to 9999. A blank line stands between blocks. A block that broke off
ends with ``(broken off after 12.5 seconds)``, or with ``(broken off)`` when a later run closed it.
Durations are whole hours and minutes, and seconds to the millisecond: ``1 hour 30 minutes``,
``2 seconds``, ``0.25 seconds``.

Nothing here opens a file. What is written is ASCII, so that a character is a byte.
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
    """One stamp on its way from `sender` to `receiver`; `at_ns` is whole microseconds."""

    number: int
    sender: str
    receiver: str
    at_ns: int


class End(Struct, frozen=True):
    """How a block ended: as planned or `broken_off`, after how many ns where the line says so."""

    broken_off: bool
    after_ns: int | None


class FileBlock(Struct):
    """The stamps of one run. `end` is None when the block was never closed.

    `torn` says that the file ends in the middle of a line, which is left out.
    """

    rows: list[Row] = field(default_factory=list)
    end: End | None = None
    torn: bool = False


class Continuation(Struct, frozen=True):
    """What it takes to append to a file.

    First the last `cut` bytes are to be removed, which are half a line; then `closing` is to be
    written, which ends a block that was left open. The next row is `last_number` + 1.
    """

    last_number: int
    cut: int
    closing: str


def block_start(*, first: bool) -> str:
    """Return the lines that open a block; `first` when the file is empty so far."""
    return _START if first else f"\n{_START}"


def direction(sender: str, receiver: str) -> str:
    """Return the columns with both addresses: a row is this and a moment right behind it.

    Raises ValueError when an address could not be read back: it is empty, or contains white space,
    ``|`` or other characters than ASCII.
    """
    for address in (sender, receiver):
        if not _ADDRESS.fullmatch(address):
            raise ValueError(f"{address!r} is not an address: it is one word of ASCII without '|'")
    return f"{sender} | {receiver} | "


def format_rows(first: int, rows: Iterable[str]) -> str:
    """Return a line for each of `rows`, from # `first` on.

    A row is a `direction` and a moment as `common.protocol.timestamps` writes it, in one string.
    """
    return "".join(
        [
            f"| {number} | {row[:_DATE]} | {row[_TIME:-1]} |\n"
            for number, row in enumerate(rows, first)
        ]
    )


def block_end(duration_ns: int) -> str:
    """Return the lines that end a block which ran as long as planned, `duration_ns` (>= 0)."""
    return f"\nEnd of Timestamp Data (after {_in_words(duration_ns)})\n"


def broken_end(duration_ns: int) -> str:
    """Return the lines that end a block which broke off after `duration_ns` (>= 0)."""
    return f"\nEnd of Timestamp Data (broken off after {_in_words(duration_ns)})\n"


def continue_after(tail: str) -> Continuation:
    """Return what it takes to append to a file that ends with `tail`.

    The last 4 KiB are enough, decoded as latin-1 so that bytes and characters correspond. When
    `last_number` is 0 it may only be that the last twenty runs wrote no row: then give it more. A
    file that is empty or does not exist ends with "".

    Raises ValueError when the file is not a time file: appending would spoil it.
    """
    *lines, unfinished = tail.split("\n")
    closing = ""
    if _ROW.fullmatch(unfinished) or _END.fullmatch(unfinished):
        lines.append(unfinished)  # nothing is missing but the end of the line
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
    """Yield the blocks of a file, given line by line with their ends, as an open file yields them.

    A block that was never closed ends with the file or where the next one begins. Raises ValueError
    with the number of the line when one is not timestamp data, except for a last line that is torn.
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
