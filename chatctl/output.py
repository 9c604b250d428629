"""Data to stdout, one line each, at once; talk to stderr."""

import sys

import msgspec


def print_line(text: str) -> None:
    """Write a line of data for people; may raise BrokenPipeError."""
    print(text, flush=True)  # noqa: T201 - this is where data leaves


def print_json(record: object) -> None:
    """Write a line of data for programs; may raise BrokenPipeError."""
    print_line(msgspec.json.encode(record).decode())


def print_lines(lines: bytes) -> None:
    """Write lines of data that are UTF-8 already; may raise BrokenPipeError."""
    sys.stdout.flush()
    sys.stdout.buffer.write(lines)
    sys.stdout.buffer.flush()


def say(text: str) -> None:
    """Tell a person something that is no data."""
    print(f"chatctl: {text}", file=sys.stderr, flush=True)  # noqa: T201
