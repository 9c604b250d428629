"""What is seen of an exchange while it runs: events, and on a terminal a bar for each file."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from chatctl.cli.output import print_json, say
from chatctl.share.events import ShareEvent
from chatctl.share.progress import DownloadProgress, FileProgress
from common.protocol.text_format import escape_control
from common.system.stdio import OutputError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

REFRESH_INTERVAL: Final = 0.25
"""How often (s) bars are drawn."""

MAX_BARS: Final = 20
"""Files that have a bar; of more, only the first."""


class ShareView(Protocol):
    """Who is told of an exchange; what comes of it ends the run only where it is shown."""

    def emit(self, event: ShareEvent) -> None:
        """Tell what happened."""

    def show(self, files: DownloadProgress, upload_rate: float, download_rate: float) -> None:
        """Show how far each file is, and how fast (B/s) it goes each way; called often.

        May raise BrokenPipeError, OutputError, which ends the run.
        """


class ShareLines:
    """Sentences on stderr."""

    def emit(self, event: ShareEvent) -> None:
        """Say it."""
        say(str(event))

    def show(self, files: DownloadProgress, upload_rate: float, download_rate: float) -> None:
        """Show nothing."""


class ShareRecords:
    """Lines of JSON on stdout; once they cannot be written, the run is to end."""

    def __init__(self) -> None:
        self._error: OutputError | BrokenPipeError | None = None

    def emit(self, event: ShareEvent) -> None:
        """Print it."""
        if self._error is None:
            try:
                print_json(event)
            except (OutputError, BrokenPipeError) as error:
                self._error = error

    def show(self, files: DownloadProgress, upload_rate: float, download_rate: float) -> None:
        """Raise what kept an event from being told: BrokenPipeError, OutputError."""
        if self._error is not None:
            raise self._error


class Bars:
    """Bars at the foot of a terminal, and sentences above them."""

    def __init__(self, progress: "Progress") -> None:
        self._progress = progress
        self._all = progress.add_task("all", total=1, rates="")
        self._bars: dict[tuple[str, str], TaskID] = {}
        self._shown_at = 0.0

    def emit(self, event: ShareEvent) -> None:
        """Print it above the bars."""
        self._progress.console.print(f"chatctl: {event}", markup=False, soft_wrap=True)

    def show(self, files: DownloadProgress, upload_rate: float, download_rate: float) -> None:
        """Draw, if it was not drawn a moment ago."""
        now = time.monotonic()
        if now - self._shown_at < REFRESH_INTERVAL:
            return
        self._shown_at = now
        for file in files:
            self._show(file)
        size = sum(file.size for file in files)
        done = sum(map(_done, files))
        rates = f"{upload_rate / 1e6:.3g} MB/s up, {download_rate / 1e6:.3g} MB/s down"
        self._progress.update(self._all, total=size or 1, completed=done, rates=rates)
        self._progress.refresh()

    def _show(self, file: FileProgress) -> None:
        key = file.owner, file.name
        bar = self._bars.get(key)
        if bar is None:
            if len(self._bars) == MAX_BARS:
                return
            label = escape_control(f"{file.name} of {file.owner}")
            bar = self._bars[key] = self._progress.add_task(label, total=file.size or 1, rates="")
        self._progress.update(bar, completed=_done(file) if file.size else 1)


def _done(file: FileProgress) -> int:
    """Return how many bytes of a file are here."""
    return file.size if file.path is not None else file.done


@contextmanager
def open_view(*, as_json: bool) -> Iterator[ShareView]:
    """Give who shows what happens: JSON where asked for, bars where there is a terminal."""
    if as_json:
        yield ShareRecords()
    elif not sys.stderr.isatty():
        yield ShareLines()
    else:
        with _progress() as progress:
            yield Bars(progress)


def _progress() -> "Progress":
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:3.0f}% {task.fields[rates]}", markup=False),
        console=Console(stderr=True, highlight=False),
        auto_refresh=False,
        transient=True,
    )
