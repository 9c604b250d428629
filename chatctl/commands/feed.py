"""``chatctl feed``: print random users and arrays as they arrive, and time blocks of them.

Three views print the feed: as text, as JSON, and as panels for a terminal. A `BlockTimer` counts
messages into blocks, measures how long each takes, and marks those with missing messages.
"""

import asyncio
import math
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from datetime import datetime, tzinfo
from typing import Any, Final, Protocol, TypeAlias

import msgspec
from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from chatctl.cli import options
from chatctl.cli.config import Settings
from chatctl.cli.login import connect
from chatctl.cli.output import print_events, print_json, print_line, say
from chatctl.client import Array, Client, Event, Reconnecting, User
from chatctl.errors import Exit, UsageError
from common.messages.feed import Block, Person
from common.protocol.text_format import escape_control
from common.protocol.timestamps import format_time

Item: TypeAlias = User | Array

EXAMPLE: Final = """\
chatctl feed --topic user --interval 200ms --block 7
         chatctl feed --interval 0 --count 100000 --json > feed.ndjson"""

_MAX_SIZE: Final = 1_000
_MAX_SAFE_INTEGER: Final = 2**53 - 1


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "--topic",
        action="append",
        choices=("user", "array"),
        help="user or array; both alternate if you name both or none",
    )
    parser.add_argument(
        "--interval",
        type=_interval,
        default=1.0,
        metavar="TIME",
        help="time between messages, 1ms to 1h (1s); 0: none",
    )
    parser.add_argument(
        "--block", type=options.count, default=5, metavar="N", help="messages in a block (5)"
    )
    options.add_count(parser, "stop after N messages")
    for name, range_, default, text in (
        ("size", (1, _MAX_SIZE), 10, "numbers in an array, 1 to 1000"),
        ("low", (-_MAX_SAFE_INTEGER, _MAX_SAFE_INTEGER), 0, "smallest number"),
        ("high", (-_MAX_SAFE_INTEGER, _MAX_SAFE_INTEGER), 100, "largest number"),
    ):
        parser.add_argument(
            f"--{name}",
            type=options.whole(*range_),
            default=default,
            metavar="N",
            help=f"{text} ({default})",
        )
    options.add_json(parser)


async def run(args: Namespace, settings: Settings) -> int:
    """Print the feed until `--count` or Ctrl-C ends it; both are a success."""
    view = _make_view(args)

    def notice(event: Event) -> None:
        if isinstance(event, Reconnecting):
            timer.connection_lost()

    async with connect(settings, reconnect_for=math.inf) as client:
        feed = _subscribe(client, args)
        say(f"receiving the feed from {settings.server} (Ctrl-C stops)")
        started = time.monotonic()
        timer = BlockTimer(args.block, started)
        printing = asyncio.create_task(print_events(client, notice))
        try:
            with suppress(asyncio.CancelledError):  # Ctrl-C
                await _follow(feed, client, args, timer, view)
        finally:
            printing.cancel()
    elapsed = time.monotonic() - started
    say(
        f"{_count(timer.total, 'message')} in {elapsed:.2f} s, "
        f"{_count(timer.complete, 'complete block')}"
    )
    return Exit.OK


def _subscribe(client: Client, args: Namespace) -> AsyncGenerator[Item, None]:
    arrays = {"size": args.size, "low": args.low, "high": args.high}
    try:
        return client.subscribe(*args.topic or (), interval=args.interval, **arrays)
    except ValueError as error:
        raise UsageError(str(error)) from None


async def _follow(
    feed: AsyncGenerator[Item, None],
    client: Client,
    args: Namespace,
    timer: "BlockTimer",
    view: "FeedView",
) -> None:
    async with aclosing(feed):
        async for item in feed:
            received = time.time_ns()
            block = timer.count(item.n, time.monotonic())
            view.item(item, received)
            if block is not None:
                client.report_block(block.count, block.seconds, interrupted=block.interrupted)
                view.block(timer.complete, block, received)
            if timer.total == args.count:
                return


def _interval(text: str) -> float:
    seconds = options.duration(text)
    if seconds and not 0.001 <= seconds <= 3600:
        raise ArgumentTypeError(f"{text} is out of range: 1ms to 1h, or 0 for no interval")
    return seconds


def _make_view(args: Namespace) -> "FeedView":
    if args.json:
        return FeedRecords()
    return FeedPanels() if sys.stdout.isatty() else FeedText()


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


class BlockTimer:
    """Counts messages into blocks of `size` and measures them; times in s, monotonic.

    Blocks adjoin: each starts where the one before ended, the first at `start`, and ends with its
    own last message. A lost connection lengthens the block that spans it, and marks it.
    """

    def __init__(self, size: int, start: float) -> None:
        self.total = 0
        """Messages received."""
        self.complete = 0
        """Complete blocks."""
        self._size = size
        self._started = start
        self._last = 0
        self._is_interrupted = False

    def count(self, number: int, now: float) -> Block | None:
        """Count message `number`, received at `now`; return the block that it completes."""
        self._is_interrupted |= number != self._last + 1
        self._last = number
        self.total += 1
        if self.total % self._size:
            return None
        self.complete += 1
        block = Block(self._size, now - self._started, self._is_interrupted)
        self._started, self._is_interrupted = now, False
        return block

    def connection_lost(self) -> None:
        """Note that the connection was lost.

        Once a message has arrived, the numbers show the loss, and in the right block: messages
        from before the loss may still wait in the queue.
        """
        self._is_interrupted |= not self.total


class FeedView(Protocol):
    """Prints items with the time at which they were received (ns since the Unix epoch)."""

    def item(self, item: Item, received: int) -> None:
        """Print a user or an array."""

    def block(self, number: int, block: Block, received: int) -> None:
        """Print how long a block took; `number` counts from 1."""


class FeedText:
    """Prints one line for each item; times in UTC."""

    def item(self, item: Item, received: int) -> None:
        """Print the fields of a user or the values of an array."""
        content = ", ".join(_person_fields(item.user)) if isinstance(item, User) else _values(item)
        print_line(f"{format_time(received)} {_topic(item)} {item.n}: {content}")

    def block(self, number: int, block: Block, received: int) -> None:
        """Print a sentence."""
        print_line(f"{format_time(received)} {_format_block(number, block)}")


class FeedRecords:
    """Prints one JSON object for each item and block: the message, and when it was `received`."""

    def item(self, item: Item, received: int) -> None:
        """Print the message."""
        _print_record(item, received)

    def block(self, number: int, block: Block, received: int) -> None:
        """Print the block."""
        _print_record(block, received)


class FeedPanels:
    """Prints columns as wide as the terminal; times in `zone`, or in local time."""

    def __init__(self, console: Console | None = None, zone: tzinfo | None = None) -> None:
        self._console = console or Console()
        self._zone = zone

    def item(self, item: Item, received: int) -> None:
        """Print a user on a few lines, or an array."""
        row = Table.grid(padding=(0, 2))
        row.add_column(style="dim", no_wrap=True)
        row.add_column(min_width=len("array 1000"), no_wrap=True)
        row.add_column()
        style = "cyan" if isinstance(item, User) else "green"
        at = datetime.fromtimestamp(received / 1e9, self._zone)
        content = (
            _format_person(item.user)
            if isinstance(item, User)
            else Text(_values(item, aligned=True))
        )
        row.add_row(
            f"{at:%H:%M:%S}.{at.microsecond // 1000:03}",
            Text(f"{_topic(item)} {item.n}", style),
            content,
        )
        self._console.print(row)

    def block(self, number: int, block: Block, received: int) -> None:
        """Print a rule across the terminal."""
        style = "yellow" if block.interrupted else "dim"
        self._console.print(
            Rule(Text(_format_block(number, block), style), style=style, align="left")
        )


def _topic(item: Item) -> str:
    return "user" if isinstance(item, User) else "array"


def _values(array: Array, *, aligned: bool = False) -> str:
    texts = [str(value) for value in array.values]
    width = max(map(len, texts), default=0) if aligned else 0
    return " ".join(text.rjust(width) for text in texts)


def _person_fields(person: Person) -> list[str]:
    """Return the fields of a person, each safe to print on one line."""
    return [
        escape_control(", ".join(field.splitlines()))
        for field in (
            f"{person.name} ({person.username})",
            f"born {person.birthdate}",
            person.company,
            person.address,
            person.phone,
            person.email,
        )
    ]


def _format_person(person: Person) -> Text:
    name, born, company, address, phone, email = _person_fields(person)
    return Text.assemble((name, "bold"), f", {born}\n{company}\n{address}\n{phone}, {email}")


def _format_block(number: int, block: Block) -> str:
    mark = ", interrupted" if block.interrupted else ""
    return f"block {number}: {_count(block.count, 'message')} in {block.seconds:.3f} s{mark}"


def _print_record(message: Item | Block, received: int) -> None:
    fields: dict[str, Any] = msgspec.to_builtins(message)
    print_json({"received": format_time(received), **fields})
