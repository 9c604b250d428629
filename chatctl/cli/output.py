"""Output of commands: data to stdout, one line each, at once; remarks and events to stderr.

Writing data raises BrokenPipeError when nobody reads it any more, and OutputError.
"""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import msgspec

from chatctl.cli.event_text import Overflow, describe, describe_unacknowledged
from chatctl.client import Client, ClientError, Event
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


async def print_events(client: Client, notice: Callable[[Event], object] | None = None) -> None:
    """Print connection events until the session ends; `notice` gets every event."""
    overflow = Overflow()
    try:
        # The call that waits for an answer raises the error that ends the session.
        with suppress(ClientError):
            async for event in client:
                if notice is not None:
                    notice(event)
                if not overflow.absorb(event) and (sentence := describe(event)):
                    say(sentence)
    finally:
        if sentence := str(overflow):
            say(sentence)


@asynccontextmanager
async def report_unacknowledged(client: Client) -> AsyncIterator[None]:
    """Report at the end how many messages are not acknowledged."""
    try:
        yield
    finally:
        if client.name and client.unacknowledged:
            say(describe_unacknowledged(client.unacknowledged, client.name))
