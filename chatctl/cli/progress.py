"""A progress bar for commands that handle many lines: on a terminal, and nowhere else."""

import os
import stat
import sys
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

from chatctl.cli.output import print_line

_CHUNK: Final = 2**20


class ProgressBar:
    """Prints lines of data, and below them, on a terminal, how many of `total` are done.

    While the bar is shown, print data with its `print_line`, which moves the bar out of the way.
    """

    def __init__(self, total: int | None) -> None:
        self._total = total
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._bar = Progress(
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                redirect_stdout=False,
                transient=True,
            )
            self._bar.add_task("", total=self._total)
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, by: int = 1) -> None:
        """Count `by` more as done."""
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0], by)

    def set_total(self, total: int) -> None:
        """Set the total, once it is known."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], total=total)

    def print_line(self, line: str) -> None:
        """Write a line of data; raises as `chatctl.cli.output.print_line` does."""
        if self._bar is not None and sys.stdout.isatty():
            self._bar.console.print(
                line, markup=False, emoji=False, highlight=False, soft_wrap=True
            )
        else:
            print_line(line)


def count_lines(descriptor: int) -> int | None:
    """Return how many lines are left in a file; None for a pipe, or where no bar is shown."""
    if not sys.stderr.isatty() or not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return None
    start, lines = os.lseek(descriptor, 0, os.SEEK_CUR), 0
    while chunk := os.read(descriptor, _CHUNK):
        lines += chunk.count(b"\n")
    os.lseek(descriptor, start, os.SEEK_SET)
    return lines
