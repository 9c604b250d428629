"""The subcommands, one module each; to add one, write its module and name it in `NAMES`.

A module is called like its command, with ``_`` behind it where Python keeps that word for itself.

A module holds HELP (one line), EXAMPLE (lines that can be typed), `add_arguments(parser)` and
`async run(args, settings) -> int`, which returns an exit code or raises ClientError. What takes
long to import (asyncio, msgspec, prompt_toolkit, rich) is imported inside `run`, so that help is
there at once. A module may also hold `new_event_loop()`, which makes the loop that it runs in, and
USAGE, one line in place of a list of all options.
"""

from argparse import ArgumentParser, Namespace
from typing import Final, Protocol

from chatctl.cli.config import Settings

NAMES: Final = (
    "chat",
    "who",
    "send",
    "tail",
    "history",
    "export",
    "import",
    "ping",
    "echo",
    "request",
    "timestamp",
    "feed",
    "share",
)


class Command(Protocol):
    """What every module here is."""

    HELP: str
    EXAMPLE: str

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare what the command takes."""

    async def run(self, args: Namespace, settings: Settings) -> int:
        """Do it, and return the exit code."""
