"""``chatctl timestamp``: the date and time each way, at every interval, on file and measured."""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chatctl.cli import options
from chatctl.cli.config import Settings
from chatctl.commands import share
from chatctl.errors import Exit, PartialError, UsageError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from chatctl.timestamp.display import ProgressDisplay
    from chatctl.timestamp.measure import ExchangeOptions

HELP: Final = "exchange timestamps and measure delay and clocks"
USAGE: Final = "chatctl timestamp [OPTIONS]"
EXAMPLE: Final = """\
chatctl timestamp --id 1 --share run-42 --peers 3
         chatctl timestamp --duration 30s --interval 1ms --plot run.svg
         chatctl timestamp --analyze client_1_TimeData.txt"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
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
    parser.add_argument("--live", action="store_true", help="print a line every second, too")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the run: .png, .svg")
    parser.add_argument(
        "--analyze", type=Path, metavar="FILE", help="exchange nothing, read a file of stamps"
    )
    parser.add_argument(
        "--share", metavar="GROUP", help="afterwards swap the file with a group of peers"
    )
    share.add_expectations(parser)
    options.add_json(parser)


def new_event_loop() -> "AbstractEventLoop":
    """Return a loop with little between the kernel and a stamp."""
    import uvloop

    return uvloop.new_event_loop()


async def run(args: Namespace, settings: Settings) -> int:
    """Exchange, or read a file, and print what that shows."""
    from chatctl.cli.output import print_json, print_line
    from chatctl.timestamp.measure import ExchangeOptions, measure
    from chatctl.timestamp.report import render_report

    if args.analyze:
        return _analyze(args)

    exchange = ExchangeOptions.parse(
        settings.name if args.id is None else args.id, args.interval, args.duration
    )
    if args.plot:
        from chatctl.timestamp import plot

        plot.check(args.plot)
    file = _file(exchange.id, args.out)
    record, report = await measure(exchange, file, settings, _display(args, exchange))
    if record.sent_ns:
        if args.json:
            print_json(report)
        else:
            print_line(render_report(report))
        if args.plot:
            plot.draw(record, report, args.plot)
    if report.is_interrupted:
        return Exit.INTERRUPTED
    if args.share and record.sent_ns:
        from chatctl.share.options import ShareOptions

        share_options = ShareOptions(args.share, exchange.id, [file], share.stop_policy(args))
        await share.run_share(share_options, settings, as_json=args.json)
    if shortfalls := list(report.shortfalls()):
        raise PartialError("; ".join(shortfalls))
    return Exit.OK


def _analyze(args: Namespace) -> int:
    from chatctl.cli.output import print_json, print_line
    from chatctl.timestamp.report import read, render

    if args.plot:
        raise UsageError("--analyze has nothing for --plot: a file alone knows of no round trips")
    for number, block in enumerate(read(args.analyze), 1):
        if args.json:
            print_json(block)
        else:
            print_line(render(number, block))
    return Exit.OK


def _display(args: Namespace, exchange: "ExchangeOptions") -> "ProgressDisplay":
    """Return who shows how it goes: lines where asked for, a bar where there is a terminal."""
    import sys

    from chatctl.timestamp.display import ProgressDisplay, StatusBar, StatusLines

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
