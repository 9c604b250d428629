"""Data goes to stdout, one line each, at once; remarks for a person go to stderr.

Writing data raises BrokenPipeError when nobody reads it any more, and OutputError.
"""

import sys

import msgspec

from common.system import stdio


def print_line(text: str) -> None:
    """Write a line of data for people."""
    stdio.write(text)


def print_json(record: object) -> None:
    """Write a line of data for programs."""
    stdio.write(msgspec.json.encode(record).decode())


def print_lines(lines: bytes) -> None:
    """Write lines of data that are UTF-8 already."""
    stdio.write_bytes(lines)


def say(text: str) -> None:
    """Write a remark for a person."""
    print_stderr(f"chatctl: {text}")


def print_stderr(text: str) -> None:
    """Write a line to stderr without the name of the program."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is where remarks leave
