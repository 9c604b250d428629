"""``chatctl who``: the names of those present."""

from argparse import ArgumentParser, Namespace
from typing import Final

from chatctl.cli import options
from chatctl.cli.config import Settings
from chatctl.cli.login import login_session
from chatctl.cli.output import print_json, print_line
from chatctl.errors import Exit

EXAMPLE: Final = "chatctl who | wc -l"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    options.add_name(parser)
    options.add_json(parser)


async def run(args: Namespace, settings: Settings) -> int:
    """Print the names of all users present, except our own."""
    async with login_session(settings, args.name_given) as client:
        for name in await client.who():
            if name == client.name:
                continue
            if args.json:
                print_json({"name": name})
            else:
                print_line(name)
    return Exit.OK
