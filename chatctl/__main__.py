"""The command line of ``chatctl``: parse the arguments, then run one command.

Only the chosen command is imported, and only its arguments are declared; ``chatctl --help`` reads
the table of commands alone.
"""

import sys
from argparse import (
    Action,
    ArgumentParser,
    Namespace,
    RawDescriptionHelpFormatter,
)
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final, cast

from chatctl import commands
from chatctl.cli import options
from chatctl.errors import Exit
from common import __version__
from common.system import stdio
from common.system.stdio import CheckedArgumentParser

PROGRAM: Final = "chatctl"

_SHELLS: Final = ("bash", "zsh", "tcsh")
_USAGE: Final = f"""\
{PROGRAM} [--server HOST:PORT] [--timeout TIME] [--config FILE] COMMAND ...
       {PROGRAM} --help | --version | --print-completion {{{",".join(_SHELLS)}}}"""
_EPILOG: Final = """\
Each command explains its options with --help.
example: chatctl --server chat.example.org:5555 send ann 'lunch?'
Exit codes: 0 ok, 2 usage, 3 cannot connect, 4 refused, 5 protocol, 6 timeout,
7 partly done, 130 interrupted, 141 nobody reads the output."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code, or exit with it as argparse does."""
    stdio.open_closed()
    try:
        with stdio.printed():
            args = _make_parser().parse_args(argv)
        # The runner imports asyncio, which takes longer than all of --help.
        runner = import_module("chatctl.cli.runner")
        return cast(int, runner.run(commands.load(args.command), args))
    except stdio.OutputError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)  # noqa: T201 - stdout is gone
        stdio.discard_output()
        return Exit.PARTIAL
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        stdio.discard_output()
        return Exit.BROKEN_PIPE


def _make_parser(*, load_all: bool = False) -> ArgumentParser:
    """Return the parser; `load_all` declares the arguments of all commands at once."""
    parser = CheckedArgumentParser(
        prog=PROGRAM,
        usage=_USAGE,
        description="\n".join(
            ["commands:", *(f"  {name:<10} {entry.help}" for name, entry in _entries())]
        ),
        epilog=_EPILOG,
        formatter_class=_OverviewFormatter,
        allow_abbrev=False,
    )
    options.add_connection(parser)
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s {__version__}", help="show the version"
    )
    parser.add_argument(
        "--print-completion",
        action=_CompletionAction,
        choices=_SHELLS,
        metavar="SHELL",
        help=f"print the completion for {', '.join(_SHELLS)}",
    )
    subparsers = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", prog=PROGRAM, parser_class=_CommandParser
    )
    for name, entry in _entries():
        command_parser = subparsers.add_parser(name, help=entry.help, command=name)
        if load_all:
            command_parser.load()
    return parser


def _entries() -> Sequence[tuple[str, commands.CommandEntry]]:
    return list(commands.COMMANDS.items())


class _CommandParser(CheckedArgumentParser):
    """Parses the arguments of one command, which is imported when they are to be parsed."""

    def __init__(self, command: str, prog: str) -> None:
        super().__init__(prog, formatter_class=_CommandFormatter, allow_abbrev=False)
        self._command = command
        self._is_loaded = False

    def load(self) -> None:
        """Import the command and declare its arguments."""
        if self._is_loaded:
            return
        self._is_loaded = True
        command = commands.load(self._command)
        help_text = commands.COMMANDS[self._command].help
        self.description = f"{help_text[0].upper()}{help_text[1:]}."
        self.epilog = f"example: {command.EXAMPLE}"
        command.add_arguments(self)
        options.add_connection(self)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse the arguments; argparse calls this once the command is chosen."""
        self.load()
        return super().parse_known_args(args, namespace)


class _CommandFormatter(RawDescriptionHelpFormatter):
    """Keeps each option on one line of 80 columns."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=79)


class _OverviewFormatter(_CommandFormatter):
    """Leaves the screen to the commands, which the description lists."""

    def add_argument(self, action: Action) -> None:
        """Leave out what the usage shows."""


class _CompletionAction(Action):
    """Prints the completion script of a shell, for all commands."""

    def __call__(self, parser: ArgumentParser, _: Namespace, shell: Any, *__: Any) -> None:
        shtab = import_module("shtab")  # nothing else needs it
        stdio.write(shtab.complete(_make_parser(load_all=True), shell=shell))
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
