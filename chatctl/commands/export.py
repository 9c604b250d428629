"""``chatctl export``: everything that a person may read, as NDJSON."""

from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator
from typing import Final

from chatctl.cli import history, options
from chatctl.cli.config import Settings
from chatctl.cli.login import history_session
from chatctl.cli.output import print_lines, say
from chatctl.cli.progress import ProgressBar
from chatctl.errors import Exit

EXAMPLE: Final = "chatctl export --as ann > ann.ndjson"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    options.add_name(parser)


async def run(args: Namespace, settings: Settings) -> int:
    """Fetch the whole log, then print it: the output is complete or empty."""
    with history.ReverseSpool() as spool:
        async with history_session(settings, args.name_given) as client:
            with ProgressBar(None) as progress:
                await spool.fill(_counted(history.pages(client), progress), history.accept_all())
        for page in spool:
            print_lines(page)
        say(f"{spool.count} messages")
    return Exit.OK


async def _counted(
    pages: AsyncIterator[list[history.Delivery]], progress: ProgressBar
) -> AsyncIterator[list[history.Delivery]]:
    async for page in pages:
        progress.advance(len(page))
        yield page
