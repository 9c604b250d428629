"""Progress displays of a running exchange: none, status lines, or a bar."""

from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from chatctl.cli.output import print_json, print_line, say
from chatctl.timestamp.report import ProgressSample, render_sample


class ProgressDisplay:
    """Prints remarks only; its subclasses also show a sample every `period` s.

    `show` may block, so the caller runs it in a thread.
    """

    period: float | None = None

    def show(self, sample: ProgressSample) -> None:
        """Show a sample; may raise BrokenPipeError."""

    def say(self, text: str) -> None:
        """Print a remark for a person; any thread may call this."""
        say(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class StatusLines(ProgressDisplay):
    """Prints a line of data each second."""

    period = 1.0

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def show(self, sample: ProgressSample) -> None:
        """Print a line."""
        if self._as_json:
            print_json(sample)
        else:
            print_line(render_sample(sample))


class StatusBar(ProgressDisplay):
    """Draws a progress bar on stderr, a terminal.

    Drawing takes half a millisecond in which no stamp is sent or timed, so the bar is drawn only
    twice a second.
    """

    period = 0.5

    def __init__(self, label: str, interval_ns: int) -> None:
        self._interval_ns = interval_ns
        self._progress = Progress(
            TextColumn("{task.description} ", style="bold", markup=False),
            BarColumn(complete_style="cyan", finished_style="cyan"),
            TextColumn("{task.percentage:3.0f}% "),
            TextColumn("{task.fields[left]} left "),
            TextColumn("{task.fields[round_trip]}"),
            console=Console(stderr=True, highlight=False),
            auto_refresh=False,
            transient=True,
        )
        self._task = self._progress.add_task(label, visible=False, left="", round_trip="")

    def show(self, sample: ProgressSample) -> None:
        """Draw the bar."""
        trip = sample.round_trip
        self._progress.update(
            self._task,
            visible=True,
            total=sample.expected,
            completed=sample.sent,
            left=_format_clock((sample.expected - sample.sent) * self._interval_ns),
            round_trip=f"round trip {trip.median_ns / 1e6:.3f} ms" if trip else "no stamps arrive",
            refresh=True,
        )

    def say(self, text: str) -> None:
        """Print above the bar."""
        self._progress.console.print(f"chatctl: {text}", markup=False, soft_wrap=True)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def _format_clock(ns: int) -> str:
    """Return ``4:56``, or ``1:04:56`` where there are hours."""
    minutes, seconds = divmod(round(ns / 1e9), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
