"""Command line of a share: its options and its output, for every command that swaps files."""

from argparse import ArgumentParser, Namespace
from typing import Final

from chatctl.cli import options
from chatctl.cli.config import Settings
from chatctl.cli.login import connect
from chatctl.cli.output import print_json, print_line
from chatctl.errors import Exit, PartialError
from chatctl.share.options import ShareOptions, StopPolicy
from chatctl.share.report import render
from chatctl.share.session import share
from chatctl.share.view import open_view
from common.protocol.text_format import escape_control
from common.values import Address

_MAX_PEERS: Final = 1_000
_WAIT_FOR_ANYONE: Final = 10.0
_WAIT_FOR_EXPECTED: Final = 60.0


def add_stop_policy(parser: ArgumentParser) -> None:
    """Add ``--peers`` and ``--wait``, which `stop_policy` reads."""
    parser.add_argument(
        "--peers",
        type=options.whole(2, _MAX_PEERS),
        metavar="N",
        help="number of peers expected, including this one",
    )
    parser.add_argument(
        "--wait",
        type=options.duration,
        metavar="TIME",
        help="how long to wait for them (10s; 1m with --peers)",
    )


def stop_policy(args: Namespace, seed_after: float = 0.0) -> StopPolicy:
    """Return when to stop: what `add_stop_policy` has parsed, and `seed_after` (s)."""
    wait = args.wait
    if wait is None:
        wait = _WAIT_FOR_ANYONE if args.peers is None else _WAIT_FOR_EXPECTED
    return StopPolicy(args.peers, wait, seed_after)


async def run_share(share_options: ShareOptions, settings: Settings, *, as_json: bool) -> int:
    """Swap files and print the report; return the exit code, or raise PartialError."""
    with open_view(as_json=as_json) as view:
        report = await share(share_options, settings, view)
    if as_json:
        print_json(report)
    else:
        print_line(render(report))
    if report.is_interrupted:
        return Exit.INTERRUPTED if report.seconds is None else Exit.OK
    if report.shortfalls:
        raise PartialError("; ".join(report.shortfalls))
    return Exit.OK


async def print_peers(group: str, settings: Settings, *, as_json: bool) -> None:
    """Print one peer of a group a line: its id, where it listens, how many bytes it shares."""
    async with connect(settings) as client:
        for peer in await client.peers(group):
            if as_json:
                print_json(peer)
            else:
                where = Address(peer.host, peer.port)
                print_line(
                    f"{escape_control(peer.id)}  {escape_control(str(where))}  {peer.size} bytes"
                )
