"""``chatctl chat``: a conversation, on a terminal or through pipes."""

import os
from argparse import ArgumentParser, Namespace
from contextlib import suppress
from importlib import import_module
from typing import Final, cast

from chatctl.chat import pipe
from chatctl.cli import options
from chatctl.cli.config import Settings
from chatctl.cli.login import open_credentials
from chatctl.errors import UsageError
from common.values import Address, parse_whole

EXAMPLE: Final = """\
chatctl chat ann
         chatctl chat localhost 5555 ann
         tail -f news | chatctl chat newsbot --json"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.usage = "chatctl chat [OPTIONS] [NAME | HOST PORT NAME]"
    parser.add_argument(
        "words", nargs="*", metavar="NAME", help="name to use (your login name), or HOST PORT NAME"
    )
    parser.add_argument(
        "--suggested", action="store_true", help="if the name is taken, take a free one like it"
    )
    options.add_json(parser)


async def run(args: Namespace, settings: Settings) -> int:
    """Chat until the person quits or the input ends."""
    settings, name = _parse_words(args.words, settings)
    credentials = open_credentials(settings)
    if not args.json and _is_on_terminal():
        # prompt_toolkit takes longer to import than all the rest, and pipes do without it.
        chat = import_module("chatctl.chat.conversation").chat
        return cast(int, await chat(settings, name, credentials, use_suggested=args.suggested))
    output = pipe.JsonOutput() if args.json else pipe.PlainOutput()
    return await pipe.chat(settings, name, credentials, output, use_suggested=args.suggested)


def _parse_words(words: list[str], settings: Settings) -> tuple[Settings, str]:
    match words:
        case []:
            return settings, settings.name
        case [name]:
            return settings, name
        case [host, port, name]:
            return settings._replace(server=Address(host, _parse_port(port))), name
    raise UsageError("write chat NAME or chat HOST PORT NAME")


def _parse_port(text: str) -> int:
    with suppress(ValueError):
        if 1 <= (port := parse_whole(text)) <= 65535:
            return port
    raise UsageError(f"{text!r} is not a port: write chat HOST PORT NAME")


def _is_on_terminal() -> bool:
    """Tell whether stdin and stdout are a terminal that can move its cursor."""
    is_able = os.environ.get("TERM", "dumb") not in {"dumb", "unknown"}
    return is_able and os.isatty(0) and os.isatty(1)
