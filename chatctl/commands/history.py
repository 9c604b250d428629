"""``chatctl history``: earlier messages, oldest first."""

import sys
import time
from argparse import ArgumentParser, Namespace
from typing import Final

import msgspec

from chatctl.cli import history, options
from chatctl.cli.config import Settings
from chatctl.cli.login import history_session
from chatctl.cli.output import print_line, print_lines
from chatctl.errors import Exit

EXAMPLE: Final = """\
chatctl history --since 1h
         chatctl history --with ann --limit 10
         chatctl history --json | jq .content"""

LIMIT: Final = 50


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    options.add_name(parser)
    options.add_json(parser)
    parser.add_argument(
        "--with", dest="other", metavar="NAME", help="only messages between you and NAME"
    )
    parser.add_argument(
        "--before", type=options.count, metavar="ID", help="only messages older than this id"
    )
    parser.add_argument(
        "--since", type=options.duration, metavar="TIME", help="only the last 10m, 1h, 7d"
    )
    parser.add_argument(
        "--limit",
        type=options.count,
        metavar="N",
        help=f"only the newest N ({LIMIT}; with --since all)",
    )


async def run(args: Namespace, settings: Settings) -> int:
    """Page backwards through the log as far as needed, then print from there."""
    limit = args.limit or (LIMIT if args.since is None else sys.maxsize)
    oldest_ns = 0 if args.since is None else time.time_ns() - int(args.since * 1e9)
    with history.ReverseSpool() as spool:
        async with history_session(settings, args.name_given) as client:
            own_name, matches, size = client.name, history.accept_all(), min(limit, history.PAGE)
            if args.other is not None:
                matches, size = history.between(own_name, args.other), history.PAGE
            await spool.fill(history.pages(client, args.before, size), matches, oldest_ns, limit)
        decode = msgspec.json.Decoder(history.Delivery).decode_lines
        for page in spool:
            if args.json:
                print_lines(page)
            else:
                for message in decode(page):
                    print_line(history.format_message(message, own_name))
    return Exit.OK
