"""``chatctl share``: files swapped with others, directly; the server only introduces."""

import os
from argparse import SUPPRESS, ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chatctl.cli import options
from chatctl.cli.config import Settings
from chatctl.errors import Exit, PartialError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from chatctl.share.options import ShareOptions, StopPolicy
    from common.values import Address

HELP: Final = "swap files with peers, so that all have the files of all"
USAGE: Final = "chatctl share [OPTIONS] --group GROUP [FILE ...]"
EXAMPLE: Final = """\
chatctl share --group run-42 --id 1 --peers 3 results.csv
         chatctl share --group run-42 --key s3cret --peer 10.0.0.7:4000 *.log"""

_MAX_PEERS: Final = 1_000
_WAIT_FOR_ANYONE: Final = 10.0
_WAIT_FOR_EXPECTED: Final = 60.0


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help=SUPPRESS)
    parser.add_argument("--group", required=True, metavar="GROUP", help="name of the group")
    parser.add_argument("--id", metavar="ID", help="who to be in it (host name and process)")
    add_expectations(parser)
    parser.add_argument(
        "--peer",
        action="append",
        type=_peer,
        metavar="HOST:PORT",
        help="where a peer listens, or none; no server is asked",
    )
    parser.add_argument(
        "--seed-after",
        type=options.duration,
        default=0.0,
        metavar="TIME",
        help="stay for others when all is here (0)",
    )
    parser.add_argument("--key", metavar="KEY", help="secret that all peers give (CHATCTL_KEY)")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("received"),
        metavar="DIR",
        help="where files of others go (received)",
    )
    parser.add_argument(
        "--max-size",
        type=options.size,
        default=4 * 2**30,
        metavar="SIZE",
        help="most that one peer may send (4GiB)",
    )
    parser.add_argument(
        "--port",
        type=options.whole(0, 65535),
        default=0,
        metavar="PORT",
        help="where to listen (any that is free)",
    )
    parser.add_argument("--list", action="store_true", help="only print who is in the group")
    options.add_json(parser)


def add_expectations(parser: ArgumentParser) -> None:
    """Add ``--peers`` and ``--wait``."""
    parser.add_argument(
        "--peers",
        type=options.whole(2, _MAX_PEERS),
        metavar="N",
        help="how many are expected, this one included",
    )
    parser.add_argument(
        "--wait",
        type=options.duration,
        metavar="TIME",
        help="how long to wait for them (10s; 1m with --peers)",
    )


def new_event_loop() -> "AbstractEventLoop":
    """Return a loop that costs little for each piece."""
    import uvloop

    return uvloop.new_event_loop()


async def run(args: Namespace, settings: Settings) -> int:
    """Swap, and print what came of it."""
    if args.list:
        return await _list(args, settings)

    return await run_share(_share_options(args), settings, as_json=args.json)


async def run_share(share_options: "ShareOptions", settings: Settings, *, as_json: bool) -> int:
    """Swap as wished, and print what came of it; return the exit code, or raise PartialError."""
    from chatctl.cli.output import print_json, print_line
    from chatctl.share.report import render
    from chatctl.share.session import share
    from chatctl.share.view import open_view

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


def stop_policy(args: Namespace, seed_after: float = 0.0) -> "StopPolicy":
    """Return what `add_expectations` has read."""
    from chatctl.share.options import StopPolicy

    wait = args.wait
    if wait is None:
        wait = _WAIT_FOR_ANYONE if args.peers is None else _WAIT_FOR_EXPECTED
    return StopPolicy(args.peers, wait, seed_after)


def _share_options(args: Namespace) -> "ShareOptions":
    import socket

    from chatctl.cli.output import say
    from chatctl.share.options import ShareOptions

    share_options = ShareOptions(
        group=args.group,
        id=args.id or f"{socket.gethostname()[:50]}-{os.getpid()}",
        files=args.files,
        stop_policy=stop_policy(args, args.seed_after),
        uses_server=args.peer is None,
        addresses=[address for address in args.peer or () if address is not None],
        key=args.key or os.environ.get("CHATCTL_KEY", ""),
        out=args.out,
        max_size=args.max_size,
        port=args.port,
    )
    if not share_options.uses_server and not share_options.key:
        say("anyone who knows the name of the group can join; --key keeps others out")
    return share_options


def _peer(text: str) -> "Address | None":
    return None if text == "none" else options.address(text)


async def _list(args: Namespace, settings: Settings) -> int:
    """Print one peer a line: its id, where it listens, how many bytes it shares."""
    from chatctl.cli.login import connect
    from chatctl.cli.output import print_json, print_line
    from common.protocol.text_format import escape_control
    from common.values import Address

    async with connect(settings) as client:
        for peer in await client.peers(args.group):
            if args.json:
                print_json(peer)
            else:
                where = Address(peer.host, peer.port)
                print_line(
                    f"{escape_control(peer.id)}  {escape_control(str(where))}  {peer.size} bytes"
                )
    return Exit.OK
