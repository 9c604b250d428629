"""``chatctl chat``: a conversation, on a terminal or through pipes."""

from argparse import ArgumentParser, Namespace
from contextlib import suppress
from typing import Final

from chatctl.cli import options
from chatctl.cli.config import Settings
from chatctl.errors import UsageError
from common.values import Address

HELP: Final = "talk: user|text to one, *|text or just text to all"
EXAMPLE: Final = """\
chatctl chat ann
         chatctl chat localhost 5555 ann
         tail -f news | chatctl chat newsbot --json"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.usage = "chatctl chat [OPTIONS] [NAME | HOST PORT NAME]"
    parser.add_argument(
        "words", nargs="*", metavar="NAME", help="who to be (your login name), or HOST PORT NAME"
    )
    parser.add_argument(
        "--suggested", action="store_true", help="where the name is taken, use one like it"
    )
    options.add_json(parser)


async def run(args: Namespace, settings: Settings) -> int:
    """Talk until the person leaves or the input ends."""
    import os

    from chatctl.client.credentials import Credentials, default_directory

    settings, name = _read_words(args.words, settings)
    credentials = Credentials(settings.server, default_directory(os.environ))
    if not args.json and _on_terminal():
        from chatctl.chat import conversation

        return await conversation.chat(settings, name, credentials, use_suggested=args.suggested)
    from chatctl.chat import pipe
    from chatctl.chat.pipe import JsonOutput, PlainOutput

    output = JsonOutput() if args.json else PlainOutput()
    return await pipe.chat(settings, name, credentials, output, use_suggested=args.suggested)


def _read_words(words: list[str], settings: Settings) -> tuple[Settings, str]:
    match words:
        case []:
            return settings, settings.name
        case [name]:
            return settings, name
        case [host, port, name]:
            return settings._replace(server=Address(host, _read_port(port))), name
    raise UsageError("write chat NAME or chat HOST PORT NAME")


def _read_port(text: str) -> int:
    from common.values import parse_whole

    with suppress(ValueError):
        if 1 <= (port := parse_whole(text)) <= 65535:
            return port
    raise UsageError(f"{text!r} is not a port: write chat HOST PORT NAME")


def _on_terminal() -> bool:
    """Tell whether somebody sits at a terminal that can move its cursor."""
    import os

    is_able = os.environ.get("TERM", "dumb") not in {"dumb", "unknown"}
    return is_able and os.isatty(0) and os.isatty(1)
