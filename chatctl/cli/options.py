"""Options that several commands share, and the `type=` functions that parse their values."""

from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from common.values import Address, parse_duration, parse_size, parse_whole

T = TypeVar("T")


def add_connection(parser: ArgumentParser) -> None:
    """Add the options that may stand before or after the command."""
    for flag, metavar, text in (
        ("--server", "HOST:PORT", "address (CHATCTL_SERVER, 127.0.0.1:5555)"),
        ("--timeout", "TIME", "how long to wait for the server (10s)"),
        ("--config", "FILE", "TOML file with server, timeout, name"),
    ):
        # A default here would overwrite what stood before the command.
        parser.add_argument(flag, metavar=metavar, help=text, default=SUPPRESS)


def add_name(parser: ArgumentParser) -> None:
    """Add ``--as``."""
    parser.add_argument(
        "--as", dest="name_given", metavar="NAME", help="name to use (your login name)"
    )


def add_json(parser: ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def add_count(parser: ArgumentParser, text: str) -> None:
    """Add ``--count``, whose help is `text`."""
    parser.add_argument("-c", "--count", type=count, metavar="N", help=text)


def duration(text: str) -> float:
    """Parse a duration in s."""
    return _parse(parse_duration, text)


def size(text: str) -> int:
    """Parse a size in bytes."""
    return _parse(parse_size, text)


def address(text: str) -> Address:
    """Parse an address."""
    return _parse(Address.parse, text)


def count(text: str) -> int:
    """Parse a whole number of 1 or more."""
    return _parse(_parse_count, text)


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return a function that parses a whole number from `low` to `high`."""

    def parse(text: str) -> int:
        with suppress(ValueError):
            if low <= (number := parse_whole(text)) <= high:
                return number
        raise ValueError(f"{text!r} is not a whole number from {low} to {high}")

    return partial(_parse, parse)


def _parse_count(text: str) -> int:
    with suppress(ValueError):
        if (number := parse_whole(text)) >= 1:
            return number
    raise ValueError(f"{text!r} is not a whole number of 1 or more")


def _parse(parse: Callable[[str], T], text: str) -> T:
    # argparse shows the text of this error only, not that of a ValueError.
    try:
        return parse(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
