"""``chatctl timestamp``: exchange timestamps, record them in a file, and analyze them."""

import sys
from argparse import ArgumentParser, Namespace
from asyncio import AbstractEventLoop
from importlib import import_module
from pathlib import Path
from typing import Final, Protocol, cast

import uvloop

from chatctl.cli import options
from chatctl.cli.config import Settings
from chatctl.cli.output import print_json, print_line
from chatctl.errors import Exit, PartialError, UsageError
from chatctl.share.cli import add_stop_policy, run_share, stop_policy
from chatctl.share.options import ShareOptions
from chatctl.timestamp.display import ProgressDisplay, StatusBar, StatusLines
from chatctl.timestamp.measure import ExchangeOptions, measure
from chatctl.timestamp.report import ExchangeReport, read, render, render_report
from common.timing.record import ExchangeRecord

EXAMPLE: Final = """\
chatctl timestamp --id 1 --share run-42 --peers 3
         chatctl timestamp --duration 30s --interval 1ms --plot run.svg
         chatctl timestamp --analyze client_1_TimeData.txt"""

_PLOT_FORMATS: Final = (".png", ".svg")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.usage = "chatctl timestamp [OPTIONS]"
    parser.add_argument("--id", metavar="ID", help="names the file (your login name)")
    parser.add_argument(
        "--duration", type=options.duration, default=300.0, metavar="TIME", help="how long (5m)"
    )
    parser.add_argument(
        "--interval",
        type=options.duration,
        default=0.01,
        metavar="TIME",
        help="time between stamps (10ms)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="file or directory (client_ID_TimeData.txt)"
    )
    parser.add_argument("--live", action="store_true", help="print a status line every second")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="plot the run: .png, .svg")
    parser.add_argument(
        "--analyze", type=Path, metavar="FILE", help="only analyze an existing time file"
    )
    parser.add_argument(
        "--share", metavar="GROUP", help="then share the file with a group of peers"
    )
    add_stop_policy(parser)
    options.add_json(parser)


def new_event_loop() -> AbstractEventLoop:
    """Return a loop that adds little between the kernel and a stamp."""
    return uvloop.new_event_loop()


async def run(args: Namespace, settings: Settings) -> int:
    """Exchange stamps, or read a file, and print the analysis."""
    if args.analyze:
        return _analyze(args)

    exchange = ExchangeOptions.parse(
        settings.name if args.id is None else args.id, args.interval, args.duration
    )
    plot = load_plot(args.plot) if args.plot else None
    file = _file(exchange.id, args.out)
    record, report = await measure(exchange, file, settings, _make_display(args, exchange))
    if record.sent_ns:
        if args.json:
            print_json(report)
        else:
            print_line(render_report(report))
        if plot is not None:
            plot.draw(record, report, args.plot)
    if report.is_interrupted:
        return Exit.INTERRUPTED
    if args.share and record.sent_ns:
        share_options = ShareOptions(args.share, exchange.id, [file], stop_policy(args))
        await run_share(share_options, settings, as_json=args.json)
    if shortfalls := list(report.shortfalls()):
        raise PartialError("; ".join(shortfalls))
    return Exit.OK


def _analyze(args: Namespace) -> int:
    if args.plot:
        raise UsageError("--plot does not work with --analyze: a time file holds no round trips")
    for number, block in enumerate(read(args.analyze), 1):
        if args.json:
            print_json(block)
        else:
            print_line(render(number, block))
    return Exit.OK


class Plot(Protocol):
    """The module `chatctl.timestamp.plot`."""

    def draw(self, record: ExchangeRecord, report: ExchangeReport, path: Path) -> None:
        """Draw the exchange."""


def load_plot(path: Path) -> Plot:
    """Check `path` and import what draws, before anything is measured; raises UsageError."""
    if path.suffix.lower() not in _PLOT_FORMATS:
        raise UsageError(f"--plot: {path} must end in {' or '.join(_PLOT_FORMATS)}")
    if not path.parent.is_dir():
        raise UsageError(f"--plot: there is no directory {path.parent}")
    try:
        return cast(Plot, import_module("chatctl.timestamp.plot"))
    except ModuleNotFoundError:
        raise UsageError("--plot needs matplotlib: pip install 'chatd[plot]'") from None


def _make_display(args: Namespace, exchange: ExchangeOptions) -> ProgressDisplay:
    """Return the display of the running exchange: lines if asked for, a bar on a terminal."""
    if args.live:
        return StatusLines(as_json=args.json)
    if sys.stderr.isatty():
        return StatusBar(f"exchange {exchange.id}", exchange.interval_ns)
    return ProgressDisplay()


def _file(identity: str, out: Path | None) -> Path:
    name = f"client_{identity}_TimeData.txt"
    if out is None:
        return Path(name)
    return out / name if out.is_dir() else out
