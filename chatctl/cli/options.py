"""Options that several commands share."""

from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from common.values import Address, parse_duration, parse_size, parse_whole

T = TypeVar("T")


def add_connection(parser: ArgumentParser) -> None:
    """Add what may stand before a command and behind it."""
    for flag, metavar, text in (
        ("--server", "HOST:PORT", "address (CHATCTL_SERVER, 127.0.0.1:5555)"),
        ("--timeout", "TIME", "how long to wait for anything (10s)"),
        ("--config", "FILE", "TOML file with server, timeout, name"),
    ):
        # A default here would overwrite what stood before the command.
        parser.add_argument(flag, metavar=metavar, help=text, default=SUPPRESS)


def add_name(parser: ArgumentParser) -> None:
    """Add ``--as``."""
    parser.add_argument(
        "--as", dest="name_given", metavar="NAME", help="who to be (your login name)"
    )


def add_json(parser: ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def duration(text: str) -> float:
    """Read a duration in s; for `type=`."""
    return _read(parse_duration, text)


def size(text: str) -> int:
    """Read a size in bytes; for `type=`."""
    return _read(parse_size, text)


def address(text: str) -> Address:
    """Read an address; for `type=`."""
    return _read(Address.parse, text)


def count(text: str) -> int:
    """Read a whole number from 1; for `type=`."""
    return _read(_parse_count, text)


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return what reads a whole number from `low` to `high`; for `type=`."""

    def parse(text: str) -> int:
        with suppress(ValueError):
            if low <= (number := parse_whole(text)) <= high:
                return number
        raise ValueError(f"{text!r} is not a whole number from {low} to {high}")

    return partial(_read, parse)


def _parse_count(text: str) -> int:
    with suppress(ValueError):
        if (number := parse_whole(text)) >= 1:
            return number
    raise ValueError(f"{text!r} is not a whole number of 1 or more")


def _read(parse: Callable[[str], T], text: str) -> T:
    # argparse shows the text of this error only, not that of a ValueError.
    try:
        return parse(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
