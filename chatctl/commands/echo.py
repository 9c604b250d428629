"""``chatctl echo``: a connection test that needs no name."""

from argparse import ArgumentParser, Namespace
from typing import Final

from chatctl.cli import options
from chatctl.cli.config import Settings
from chatctl.cli.login import connect
from chatctl.cli.output import print_json, print_line
from chatctl.errors import Exit

EXAMPLE: Final = "chatctl echo hello there"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("text", nargs="+", metavar="TEXT", help="words, joined by a space")
    options.add_json(parser)


async def run(args: Namespace, settings: Settings) -> int:
    """Send the text, and print what comes back."""
    async with connect(settings) as client:
        content = await client.echo(" ".join(args.text))
    if args.json:
        print_json({"content": content})
    else:
        print_line(str(content))
    return Exit.OK
