"""``chatctl send``: a message, or one for each line of standard input."""

from argparse import ArgumentParser, Namespace
from typing import Final

from chatctl.cli import options
from chatctl.cli.bulk import send_lines
from chatctl.cli.config import Settings
from chatctl.cli.input import read_lines
from chatctl.cli.login import login_session
from chatctl.cli.output import print_json
from chatctl.client import Receipt
from chatctl.errors import Exit

EXAMPLE: Final = """\
chatctl send ann 'lunch?'
         chatctl send '*' 'pizza later?'     to everyone
         make 2>&1 | chatctl send ann -      one message a line"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("to", metavar="TO", help="a name, or * for everyone")
    parser.add_argument(
        "text", nargs="+", metavar="TEXT", help="words, joined by a space; - reads lines from stdin"
    )
    options.add_name(parser)
    options.add_json(parser)


async def run(args: Namespace, settings: Settings) -> int:
    """Send the words, or the lines of standard input."""

    def report(receipt: Receipt) -> None:
        if args.json:
            print_json(_record(args.to, receipt))

    async with login_session(settings, args.name_given) as client:

        async def send(text: str) -> Receipt:
            return await (client.broadcast(text) if args.to == "*" else client.send(args.to, text))

        if args.text == ["-"]:
            await send_lines(read_lines(), send, report)
        else:
            report(await send(" ".join(args.text)))
    return Exit.OK


def _record(to: str, receipt: Receipt) -> dict[str, object]:
    return {
        "to": to,
        "id": receipt.id,
        "duplicate": receipt.duplicate,
        "round_trip_ms": round(receipt.round_trip * 1e3, 3),
    }
