"""Data to stdout, one line each, at once; talk to stderr.

To write data raises BrokenPipeError when nobody reads it any more, and OutputError.


How far a command is: a bar on a terminal, nothing anywhere else.
"""

import os
import stat
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import msgspec

from common.system import stdio

if TYPE_CHECKING:
    from rich.progress import Progress as Bar


def print_line(text: str) -> None:
    """Write a line of data for people."""
    stdio.write(text)


def print_json(record: object) -> None:
    """Write a line of data for programs."""
    stdio.write(msgspec.json.encode(record).decode())


def print_lines(lines: bytes) -> None:
    """Write lines of data that are UTF-8 already."""
    stdio.write_bytes(lines)


def say(text: str) -> None:
    """Tell a person something that is no data."""
    print(f"chatctl: {text}", file=sys.stderr, flush=True)  # noqa: T201


_CHUNK: Final = 2**20


class ProgressBar:
    """Prints lines of data, and below them, on a terminal, how many of `total` are done.

    While it lasts, print data with `print_line`: a bar must be moved out of the way.
    """

    def __init__(self, total: int | None) -> None:
        self._total = total
        self._bar: Bar | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._bar = _make_bar()
            self._bar.add_task("", total=self._total)
            self._bar.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, by: int = 1) -> None:
        """Count so many more as done."""
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0], by)

    def set_total(self, total: int) -> None:
        """Note how many there are, once that is known."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], total=total)

    def print_line(self, line: str) -> None:
        """Write a line of data; may raise BrokenPipeError."""
        if self._bar is not None and sys.stdout.isatty():
            self._bar.console.print(
                line, markup=False, emoji=False, highlight=False, soft_wrap=True
            )
        else:
            print_line(line)


def count_lines(descriptor: int) -> int | None:
    """Return how many lines are left in a file, None for a pipe or where nobody is shown it."""
    if not sys.stderr.isatty() or not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return None
    start, lines = os.lseek(descriptor, 0, os.SEEK_CUR), 0
    while chunk := os.read(descriptor, _CHUNK):
        lines += chunk.count(b"\n")
    os.lseek(descriptor, start, os.SEEK_SET)
    return lines


def _make_bar() -> "Bar":
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TimeElapsedColumn,
    )

    columns = BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    return Progress(*columns, console=Console(stderr=True), redirect_stdout=False, transient=True)
