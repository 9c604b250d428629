"""How far a command is: a bar on a terminal, nothing anywhere else."""

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

from chatctl import output

if TYPE_CHECKING:
    from rich.progress import Progress as Bar


class Progress:
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
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self) -> None:
        """Count one more as done."""
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0])

    def expect(self, total: int) -> None:
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
            output.print_line(line)


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
