"""Data to stdout, one line each, at once; talk to stderr.

To write data raises BrokenPipeError when nobody reads it any more, and OutputError.
"""

import sys

import msgspec

from chatctl import streams


def print_line(text: str) -> None:
    """Write a line of data for people."""
    streams.write(text)


def print_json(record: object) -> None:
    """Write a line of data for programs."""
    streams.write(msgspec.json.encode(record).decode())


def print_lines(lines: bytes) -> None:
    """Write lines of data that are UTF-8 already."""
    streams.write_bytes(lines)


def say(text: str) -> None:
    """Tell a person something that is no data."""
    print(f"chatctl: {text}", file=sys.stderr, flush=True)  # noqa: T201
