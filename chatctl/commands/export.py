"""``chatctl export``: everything that a person may see, as NDJSON."""

from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from chatctl import options
from chatctl.errors import Exit
from chatctl.settings import Settings

if TYPE_CHECKING:
    from chatctl.past import Delivery
    from chatctl.progress import ProgressBar

HELP: Final = "print all that you may see in the log, for import or jq"
EXAMPLE: Final = "chatctl export --as ann > ann.ndjson"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    options.add_name(parser)


async def run(args: Namespace, settings: Settings) -> int:
    """Collect the whole log, then print it: what comes out is all of it, or nothing."""
    from chatctl import past
    from chatctl.oneshot import history_session
    from chatctl.output import print_lines, say
    from chatctl.progress import ProgressBar

    with past.ReverseSpool() as spool:
        async with history_session(settings, args.name_given) as client:
            with ProgressBar(None) as progress:
                await spool.fill(_counted(past.pages(client), progress), past.accept_all())
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
