"""``chatctl export``: everything that a person may see, as NDJSON."""

from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from chatctl.cli import options
from chatctl.cli.config import Settings
from chatctl.errors import Exit

if TYPE_CHECKING:
    from chatctl.cli.history import Delivery
    from chatctl.cli.output import ProgressBar

HELP: Final = "print all that you may see in the log, for import or jq"
EXAMPLE: Final = "chatctl export --as ann > ann.ndjson"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    options.add_name(parser)


async def run(args: Namespace, settings: Settings) -> int:
    """Collect the whole log, then print it: what comes out is all of it, or nothing."""
    from chatctl.cli import history
    from chatctl.cli.login import history_session
    from chatctl.cli.output import ProgressBar, print_lines, say

    with history.ReverseSpool() as spool:
        async with history_session(settings, args.name_given) as client:
            with ProgressBar(None) as progress:
                await spool.fill(_counted(history.pages(client), progress), history.accept_all())
        for page in spool:
            print_lines(page)
        say(f"{spool.count} messages")
    return Exit.OK


async def _counted(
    pages: "AsyncIterator[list[Delivery]]", progress: "ProgressBar"
) -> "AsyncIterator[list[Delivery]]":
    async for page in pages:
        progress.advance(len(page))
        yield page
