"""The command ``chatctl``."""

import os
import sys
from argparse import (
    SUPPRESS,
    Action,
    ArgumentParser,
    Namespace,
    RawDescriptionHelpFormatter,
)
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword
from typing import Any, Final, cast

from chatctl import commands
from chatctl.cli import config, options
from chatctl.errors import ClientError, Exit
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
            args = _parser().parse_args(argv)
        return _run(args)
    except ClientError as error:
        from common.protocol.text_format import escape_control  # noqa: PLC0415 - a server's words may hold anything

        print(f"{PROGRAM}: {escape_control(str(error))}", file=sys.stderr)  # noqa: T201 - talk
        return error.exit_code
    except stdio.OutputError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)  # noqa: T201 - talk
        return Exit.PARTIAL
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        stdio.discard_output()
        return Exit.BROKEN_PIPE


def _run(args: Namespace) -> int:
    import asyncio  # noqa: PLC0415 - takes longer than all of --help

    chosen = config.load(vars(args), os.environ)
    command = _load(args.command)
    new_event_loop = getattr(command, "new_event_loop", None)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(command.run(args, chosen))


def _load(name: str) -> commands.Command:
    module = f"{name}_" if iskeyword(name) else name
    return cast(commands.Command, import_module(f"chatctl.commands.{module}"))


def _parser() -> ArgumentParser:
    loaded = {name: _load(name) for name in commands.NAMES}
    parser = CheckedArgumentParser(
        prog=PROGRAM,
        usage=_USAGE,
        description="\n".join(
            ["commands:", *(f"  {name:<10} {command.HELP}" for name, command in loaded.items())]
        ),
        epilog=_EPILOG,
        formatter_class=_Overview,
        allow_abbrev=False,
    )
    options.add_connection(parser)
    parser.add_argument("--version", action=_Version, help="show the version and exit")
    parser.add_argument(
        "--print-completion",
        action=_Completion,
        choices=_SHELLS,
        metavar="SHELL",
        help=f"print the completion for {', '.join(_SHELLS)}",
    )
    subparsers = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", prog=PROGRAM
    )
    for name, command in loaded.items():
        subparser = subparsers.add_parser(
            name,
            help=command.HELP,
            usage=getattr(command, "USAGE", None),
            description=command.HELP[0].upper() + command.HELP[1:] + ".",
            epilog=f"example: {command.EXAMPLE}",
            formatter_class=_Formatter,
            allow_abbrev=False,
        )
        command.add_arguments(subparser)
        options.add_connection(subparser)
    return parser


class _Formatter(RawDescriptionHelpFormatter):
    """Keeps each option on one line of 80 columns."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=79)


class _Overview(_Formatter):
    """Leaves the screen to the commands, which the description lists."""

    def add_argument(self, action: Action) -> None:
        """Leave out what the usage shows."""


class _Version(Action):
    """Looks the version up only when it is asked for: that takes 20 ms."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:  # noqa: A002 - argparse calls it so
        super().__init__(option_strings, dest, nargs=0, default=SUPPRESS, help=help)

    def __call__(self, parser: ArgumentParser, *_: Any) -> None:
        from common import __version__  # noqa: PLC0415 - see above

        stdio.write(f"{PROGRAM} {__version__}")
        parser.exit()


class _Completion(Action):
    """Prints what a shell needs; shtab is imported for nothing else."""

    def __call__(self, parser: ArgumentParser, _: Namespace, shell: Any, *__: Any) -> None:
        import shtab  # noqa: PLC0415 - see above

        stdio.write(shtab.complete(parser, shell=shell))
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
