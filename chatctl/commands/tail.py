"""``chatctl tail``: messages, as they arrive."""

import math
from argparse import ArgumentParser, Namespace
from typing import Final

from chatctl.cli import options
from chatctl.cli.config import Settings
from chatctl.cli.event_text import describe
from chatctl.cli.login import reading_session
from chatctl.cli.output import print_json, print_line, say
from chatctl.client import Incoming, IncomingBroadcast
from chatctl.errors import Exit
from common.protocol.text_format import render

EXAMPLE: Final = "chatctl tail --as logger --json >> chat.ndjson"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    options.add_name(parser)
    options.add_json(parser)
    options.add_count(parser, "stop after N messages")


async def run(args: Namespace, settings: Settings) -> int:
    """Print messages until there were `--count` of them, or for ever."""
    remaining = math.inf if args.count is None else args.count
    async with reading_session(settings, args.name_given) as client:
        say(f"connected to {settings.server} as {client.name}, waiting for messages")
        async for event in client:
            if not isinstance(event, Incoming | IncomingBroadcast):
                if sentence := describe(event):
                    say(sentence)
                continue
            if args.json:
                print_json(event)
            else:
                print_line(str(render(event)))
            remaining -= 1
            if remaining == 0:
                break
    return Exit.OK
