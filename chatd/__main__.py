"""The command ``chatd``."""

import gc
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from chatd import config, logging_setup
from chatd.config import PROGRAM, Config
from chatd.messagelog.base import UnusableLogError
from common.system import stdio
from common.system.settings import SettingsError
from common.system.stdio import OutputError

USAGE: Final = 2
CANNOT_LISTEN: Final = 3
UNUSABLE_LOG: Final = 4
BROKEN_PIPE: Final = 141
"""What a shell tells of a program that SIGPIPE has ended."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the daemon until it is told to stop, or do its action; return the exit code."""
    stdio.open_closed()
    # What is cut short before the server has a better answer to Ctrl-C is as if it never began.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        settings = _settings(sys.argv[1:] if arguments is None else arguments)
        if settings.check is not None or settings.backup is not None:
            return _run_action(settings)
        _prepare(settings.data)
        return _serve(settings)
    except SettingsError as error:
        return _print_error(error, USAGE)
    except UnusableLogError as error:
        return _print_error(error, UNUSABLE_LOG)
    except BrokenPipeError:
        return BROKEN_PIPE
    except OutputError as error:
        return _print_error(error, USAGE)


def _settings(arguments: Sequence[str]) -> Config:
    with stdio.printed():
        return config.load(arguments, os.environ)


def _run_action(settings: Config) -> int:
    from chatd.messagelog.sqlite import maintenance  # noqa: PLC0415 - as below

    if settings.check is not None:
        return 0 if maintenance.check(settings.check) else UNUSABLE_LOG
    if settings.backup is not None:
        maintenance.back_up_to(settings.data, settings.backup)
    return 0


def _serve(settings: Config) -> int:
    logging_setup.configure(settings.logging)
    # Imported late, so that --help and mistakes are answered at once.
    import uvloop  # noqa: PLC0415

    from chatd.net.listeners import ListenError  # noqa: PLC0415
    from chatd.server import Server  # noqa: PLC0415

    async def serve() -> None:
        await Server(settings).run()

    _relax_garbage_collection()
    try:
        uvloop.run(serve())
    except ListenError as error:
        return _print_error(error, CANNOT_LISTEN)
    return 0


def _relax_garbage_collection() -> None:
    """Look for garbage in cycles after 500,000 new objects, not after 700.

    The server makes hardly any: neither a message nor a connection that is over leaves a cycle. To
    go through all objects again and again took a quarter of the CPU while 5,000 clients connected;
    after 50,000 each it was still 8 %, in pieces of 10 ms in which nobody was served.
    """
    gc.freeze()
    gc.set_threshold(500_000, 10, 10)


def _prepare(data: Path) -> None:
    try:
        data.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data):
            pass
    except OSError as error:
        raise SettingsError(
            f"cannot write in {data}: {error.strerror}; choose another with --data"
        ) from None


def _print_error(error: Exception, code: int) -> int:
    print(f"{PROGRAM}: {error}", file=sys.stderr)  # noqa: T201
    return code


if __name__ == "__main__":
    sys.exit(main())
