"""``chatctl feed``: random users and arrays as they come, and how long blocks of them take."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import TYPE_CHECKING, Final

from chatctl import options
from chatctl.errors import Exit, UsageError
from chatctl.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from chatctl.blocks import BlockTimer
    from chatctl.client import Client
    from chatctl.feed import Item
    from chatctl.feedview import FeedView

HELP: Final = "print random users and arrays, and time blocks of them"
EXAMPLE: Final = """\
chatctl feed --topic user --interval 200ms --block 7
         chatctl feed --interval 0 --count 100000 --json > feed.ndjson"""

_MAX_SIZE: Final = 1_000
_MAX_SAFE_INTEGER: Final = 2**53 - 1


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "--topic",
        action="append",
        choices=("user", "array"),
        help="user or array; name both, or none, for both in turn",
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
    parser.add_argument(
        "-c", "--count", type=options.count, metavar="N", help="stop after N messages"
    )
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
    """Show the feed until there was enough of it, or Ctrl-C; both are a good end."""
    import asyncio
    import math
    import time
    from contextlib import suppress

    from chatctl.blocks import BlockTimer
    from chatctl.client import Reconnecting
    from chatctl.events import Event
    from chatctl.oneshot import connect, print_events
    from chatctl.output import say
    from common.units import format_duration

    view = _view(args)

    def notice(event: Event) -> None:
        if isinstance(event, Reconnecting):
            timer.connection_lost()

    async with connect(settings, reconnect_for=math.inf) as client:
        feed = _subscribe(client, args)
        say(f"listening to {settings.server}; Ctrl-C ends it")
        began = time.monotonic()
        timer = BlockTimer(args.block, began)
        printing = asyncio.create_task(print_events(client, notice))
        try:
            with suppress(asyncio.CancelledError):  # Ctrl-C
                await _follow(feed, client, args, timer, view)
        finally:
            printing.cancel()
    took = format_duration(round(time.monotonic() - began, 3))
    say(f"{timer.total} received in {took}, whole blocks: {timer.complete}; goodbye")
    return Exit.OK


def _subscribe(client: "Client", args: Namespace) -> "AsyncGenerator[Item, None]":
    arrays = {"size": args.size, "low": args.low, "high": args.high}
    try:
        return client.subscribe(*args.topic or (), interval=args.interval, **arrays)
    except ValueError as error:
        raise UsageError(str(error)) from None


async def _follow(
    feed: "AsyncGenerator[Item, None]",
    client: "Client",
    args: Namespace,
    timer: "BlockTimer",
    view: "FeedView",
) -> None:
    import time
    from contextlib import aclosing

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


def _view(args: Namespace) -> "FeedView":
    import sys

    from chatctl.feedview import FeedPanels, FeedRecords, FeedText

    if args.json:
        return FeedRecords()
    return FeedPanels() if sys.stdout.isatty() else FeedText()
