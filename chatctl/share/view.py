"""The display of a share while it runs: events, and on a terminal a progress bar for each file."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from chatctl.cli.output import print_json, say
from chatctl.share.events import ShareEvent
from chatctl.share.progress import DownloadProgress, FileProgress
from common.protocol.text_format import escape_control
from common.system.stdio import OutputError

REFRESH_INTERVAL: Final = 0.25
"""How often (s) the bars are drawn."""

MAX_BARS: Final = 20
"""How many files have a bar; of more files only the first have one."""


class ShareView(Protocol):
    """Shows a share; its errors end the run only where `show` raises them."""

    def emit(self, event: ShareEvent) -> None:
        """Show an event."""

    def show(self, files: DownloadProgress, upload_rate: float, download_rate: float) -> None:
        """Show the progress of each file, and the rates (B/s) each way; called often.

        May raise BrokenPipeError or OutputError, which ends the run.
        """


@contextmanager
def open_view(*, as_json: bool) -> Iterator[ShareView]:
    """Yield the view: JSON where asked for, bars on a terminal, else plain lines."""
    if as_json:
        yield ShareRecords()
    elif not sys.stderr.isatty():
        yield ShareLines()
    else:
        with _make_progress() as progress:
            yield Bars(progress)


class ShareLines:
    """Sentences on stderr."""

    def emit(self, event: ShareEvent) -> None:
        """Print the sentence of an event."""
        say(str(event))

    def show(self, files: DownloadProgress, upload_rate: float, download_rate: float) -> None:
        """Show nothing."""


class ShareRecords:
    """Lines of JSON on stdout; when they cannot be written, the next `show` ends the run."""

    def __init__(self) -> None:
        self._error: OutputError | BrokenPipeError | None = None

    def emit(self, event: ShareEvent) -> None:
        """Print an event."""
        if self._error is None:
            try:
                print_json(event)
            except (OutputError, BrokenPipeError) as error:
                self._error = error

    def show(self, files: DownloadProgress, upload_rate: float, download_rate: float) -> None:
        """Raise the error that kept an event from being printed: BrokenPipeError, OutputError."""
        if self._error is not None:
            raise self._error


class Bars:
    """Progress bars at the foot of a terminal, and sentences above them."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._all = progress.add_task("all", total=1, rates="")
        self._bars: dict[tuple[str, str], TaskID] = {}
        self._shown_at = 0.0

    def emit(self, event: ShareEvent) -> None:
        """Print the sentence of an event above the bars."""
        self._progress.console.print(f"chatctl: {event}", markup=False, soft_wrap=True)

    def show(self, files: DownloadProgress, upload_rate: float, download_rate: float) -> None:
        """Draw the bars, unless they were drawn less than `REFRESH_INTERVAL` ago."""
        now = time.monotonic()
        if now - self._shown_at < REFRESH_INTERVAL:
            return
        self._shown_at = now
        for file in files:
            self._show_file(file)
        size = sum(file.size for file in files)
        done = sum(map(_received, files))
        rates = f"{upload_rate / 1e6:.3g} MB/s up, {download_rate / 1e6:.3g} MB/s down"
        self._progress.update(self._all, total=size or 1, completed=done, rates=rates)
        self._progress.refresh()

    def _show_file(self, file: FileProgress) -> None:
        key = file.owner, file.name
        bar = self._bars.get(key)
        if bar is None:
            if len(self._bars) == MAX_BARS:
                return
            label = escape_control(f"{file.name} of {file.owner}")
            bar = self._bars[key] = self._progress.add_task(label, total=file.size or 1, rates="")
        self._progress.update(bar, completed=_received(file) if file.size else 1)


def _received(file: FileProgress) -> int:
    """Return how many bytes of a file are here."""
    return file.size if file.path is not None else file.done


def _make_progress() -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:3.0f}% {task.fields[rates]}", markup=False),
        console=Console(stderr=True, highlight=False),
        auto_refresh=False,
        transient=True,
    )
