"""``chatctl ping``: measure the round trip to the server, and how far the clocks are apart."""

import asyncio
import statistics
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from itertools import count
from math import ceil
from typing import Final, Self

from msgspec import Struct

from chatctl.cli import options
from chatctl.cli.config import Settings
from chatctl.cli.login import connect
from chatctl.cli.output import print_json, print_line, say
from chatctl.client import AnswerTimeoutError, Probe
from chatctl.errors import Exit

EXAMPLE: Final = "chatctl ping -c 10 -i 200ms"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    options.add_count(parser, "stop after N pings (or with Ctrl-C)")
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
    """Ping and print each answer; at the end, or when interrupted, print a summary."""

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
                # After a stall the schedule restarts; a burst would measure its own queue.
                due = max(due + args.interval, time.monotonic())
        finally:
            if probes:
                show(PingSummary.of(sent, probes))
    if not probes:
        raise AnswerTimeoutError(f"{settings.server} answered none of {sent} pings")
    return Exit.OK


class PingResult(Struct, frozen=True):
    """One answered ping."""

    seq: int
    time_ms: float
    offset_ms: float

    @classmethod
    def of(cls, seq: int, probe: Probe) -> Self:
        """Return the result of `probe`, the ping number `seq`."""
        return cls(seq, round(probe.round_trip * 1e3, 3), round(probe.offset * 1e3, 3))

    def __str__(self) -> str:
        return f"seq={self.seq} time={self.time_ms:.3f} ms"


class PingSummary(Struct, frozen=True):
    """Times in ms; `p99_ms` is the nearest rank, `clock_offset_ms` the server's clock minus ours.

    The offset is that of the ping with the least delay, as in the clock filter of RFC 5905
    section 10: the shorter the delay, the less its two directions can differ. The offset is wrong
    by at most `clock_error_ms`, half of that delay.
    """

    sent: int
    answered: int
    min_ms: float
    mean_ms: float
    median_ms: float
    p99_ms: float
    max_ms: float
    clock_offset_ms: float
    clock_error_ms: float

    @classmethod
    def of(cls, sent: int, probes: Sequence[Probe]) -> Self:
        """Return the summary of `probes`, the answered ones (at least one), out of `sent`."""
        times = sorted(probe.round_trip for probe in probes)
        best = min(probes, key=lambda probe: probe.delay)
        seconds = (
            times[0],
            statistics.fmean(times),
            statistics.median(times),
            times[ceil(0.99 * len(times)) - 1],
            times[-1],
            best.offset,
            best.delay / 2,
        )
        return cls(sent, len(times), *(round(value * 1e3, 3) for value in seconds))

    def __str__(self) -> str:
        lost = 100 * (self.sent - self.answered) / self.sent
        times = (self.min_ms, self.mean_ms, self.median_ms, self.p99_ms, self.max_ms)
        return (
            f"{self.sent} sent, {self.answered} answered, {lost:.4g}% lost\n"
            f"round trip min/mean/median/p99/max = {'/'.join(f'{ms:.3f}' for ms in times)} ms\n"
            f"clock offset {self.clock_offset_ms:+.3f} ms ± {self.clock_error_ms:.3f} ms"
        )
