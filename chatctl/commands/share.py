"""``chatctl share``: swap files with peers, directly; the server only introduces them."""

import os
import socket
from argparse import SUPPRESS, ArgumentParser, Namespace
from asyncio import AbstractEventLoop
from pathlib import Path
from typing import Final

import uvloop

from chatctl.cli import options
from chatctl.cli.config import Settings
from chatctl.cli.output import say
from chatctl.errors import Exit
from chatctl.share.cli import add_stop_policy, print_peers, run_share, stop_policy
from chatctl.share.options import ShareOptions
from common.values import Address

EXAMPLE: Final = """\
chatctl share --group run-42 --id 1 --peers 3 results.csv
         chatctl share --group run-42 --key s3cret --peer 10.0.0.7:4000 *.log"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.usage = "chatctl share [OPTIONS] --group GROUP [FILE ...]"
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help=SUPPRESS)
    parser.add_argument("--group", required=True, metavar="GROUP", help="name of the group")
    parser.add_argument("--id", metavar="ID", help="your id in the group (host name and process)")
    add_stop_policy(parser)
    parser.add_argument(
        "--peer",
        action="append",
        type=_peer,
        metavar="HOST:PORT",
        help="address of a peer, or none; use no server",
    )
    parser.add_argument(
        "--seed-after",
        type=options.duration,
        default=0.0,
        metavar="TIME",
        help="keep uploading when you have all files (0)",
    )
    parser.add_argument("--key", metavar="KEY", help="secret of the group (CHATCTL_KEY)")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("received"),
        metavar="DIR",
        help="directory for received files (received)",
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
        help="port to listen on (any free port)",
    )
    parser.add_argument("--list", action="store_true", help="only list the peers of the group")
    options.add_json(parser)


def new_event_loop() -> AbstractEventLoop:
    """Return a loop that costs little for each piece."""
    return uvloop.new_event_loop()


async def run(args: Namespace, settings: Settings) -> int:
    """Swap files and print the report, or list the peers."""
    if args.list:
        await print_peers(args.group, settings, as_json=args.json)
        return Exit.OK
    return await run_share(_share_options(args), settings, as_json=args.json)


def _share_options(args: Namespace) -> ShareOptions:
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
        say("anyone who knows the group name can join; use --key to restrict it")
    return share_options


def _peer(text: str) -> Address | None:
    return None if text == "none" else options.address(text)
