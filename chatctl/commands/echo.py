"""``chatctl echo``: is anybody there."""

from argparse import ArgumentParser, Namespace
from typing import Final

from chatctl import options
from chatctl.errors import Exit
from chatctl.settings import Settings

HELP: Final = "have the server say something back"
EXAMPLE: Final = "chatctl echo hello there"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("text", nargs="+", metavar="TEXT", help="words, joined by a space")
    options.add_json(parser)


async def run(args: Namespace, settings: Settings) -> int:
    """Print the echo."""
    from chatctl.oneshot import connect
    from chatctl.output import print_json, print_line

    async with connect(settings) as client:
        content = await client.echo(" ".join(args.text))
    if args.json:
        print_json({"content": content})
    else:
        print_line(str(content))
    return Exit.OK
