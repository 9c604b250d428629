"""``chatctl ping``: how long the way to the server and back is."""

from argparse import ArgumentParser, Namespace
from itertools import count
from typing import TYPE_CHECKING, Final

from chatctl import options
from chatctl.errors import AnswerTimeoutError, Exit
from chatctl.settings import Settings

if TYPE_CHECKING:
    from chatctl.events import Probe

HELP: Final = "measure the round trip and the clock offset"
EXAMPLE: Final = "chatctl ping -c 10 -i 200ms"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "-c", "--count", type=options.count, metavar="N", help="stop after N pings (Ctrl-C does)"
    )
    parser.add_argument(
        "-i",
        "--interval",
        type=options.duration,
        default=1.0,
        metavar="TIME",
        help="time between pings (1s); 0 waits for each answer",
    )
    options.add_json(parser)


async def run(args: Namespace, settings: Settings) -> int:
    """Ping, print each answer, and at the end, or when interrupted, what they say together."""
    import asyncio
    import time

    from chatctl.oneshot import connect
    from chatctl.output import print_json, print_line, say
    from chatctl.pinging import PingResult, PingSummary

    def show(record: PingResult | PingSummary) -> None:
        if args.json:
            print_json(record)
        else:
            print_line(str(record))

    probes: list[Probe] = []
    sent = 0
    async with connect(settings) as client:
        say(f"pinging {settings.server}")
        due = time.monotonic()
        try:
            for seq in count(1) if args.count is None else range(1, args.count + 1):
                await asyncio.sleep(due - time.monotonic())
                sent = seq
                try:
                    probes.append(await client.ping())
                except AnswerTimeoutError as error:
                    say(f"seq={seq}: {error}")
                else:
                    show(PingResult.of(seq, probes[-1]))
                # After a stall the pace starts anew; a burst would measure itself.
                due = max(due + args.interval, time.monotonic())
        finally:
            if probes:
                show(PingSummary.of(sent, probes))
    if not probes:
        raise AnswerTimeoutError(f"{settings.server} answered none of {sent} pings")
    return Exit.OK
