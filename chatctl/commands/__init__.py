"""The subcommands, one module each; `COMMANDS` lists them in the order of the help.

To add a command, write its module and add a line to the table. The module is imported only when
its command is chosen, so it imports at its top whatever it needs. It holds EXAMPLE (lines that can
be typed), `add_arguments(parser)` and `async run(args, settings) -> int`, which returns an exit
code or raises ClientError. It may also hold `new_event_loop()`, which makes the loop that `run`
runs in.
"""

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Final, NamedTuple


class CommandEntry(NamedTuple):
    """A line of the table: the module in this package, and what the command does."""

    module: str
    help: str


COMMANDS: Final[Mapping[str, CommandEntry]] = {
    "chat": CommandEntry("chat", "chat: NAME|text goes to one person, anything else to everyone"),
    "who": CommandEntry("who", "list who is present, except yourself"),
    "send": CommandEntry("send", "send a message and wait until the server has stored it"),
    "tail": CommandEntry("tail", "print messages as they arrive"),
    "history": CommandEntry("history", "print earlier messages, oldest first"),
    "export": CommandEntry("export", "print all messages that you may read, for import or jq"),
    "import": CommandEntry(
        "import_", "send the messages in a file; running it again sends nothing twice"
    ),
    "ping": CommandEntry("ping", "measure the round trip and the clock offset"),
    "echo": CommandEntry("echo", "ask the server to echo a text (connection test)"),
    "request": CommandEntry("request", "send entity strings to be parsed, many at once"),
    "timestamp": CommandEntry("timestamp", "exchange timestamps and measure delay and clocks"),
    "feed": CommandEntry("feed", "print random users and arrays, and time blocks of them"),
    "share": CommandEntry("share", "swap files with peers until everyone has all of them"),
}


def load(name: str) -> ModuleType:
    """Import the command called `name`."""
    return import_module(f"{__name__}.{COMMANDS[name].module}")
