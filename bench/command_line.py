"""The command line of `python -m bench`, and what the commands of the benchmarks share."""

import argparse
import sys
from pathlib import Path
from typing import Final

from bench.measure import Timing
from common.values import parse_duration

FULL: Final = Timing(warmup=0.4, seconds=1.6)
QUICK: Final = Timing(warmup=0.2, seconds=0.5)


def say(line: str) -> None:
    """Report progress on stderr, beside the figures."""
    print(f"bench: {line}", file=sys.stderr, flush=True)


def count(text: str) -> int:
    """Return a number of runs, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of runs: write 1 or more")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """Return the parser of `python -m bench`."""
    result = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure real servers over loopback, server and load on cores of their own.",
        epilog="example: python -m bench 'broadcast*' --on chatd nats --runs 5 --json mine.json",
    )
    result.add_argument(
        "jobs", nargs="*", default=["*"], metavar="JOB", help="name or pattern; all by default"
    )
    result.add_argument(
        "--on", nargs="+", default=["*"], metavar="CANDIDATE", help="name or pattern; all"
    )
    result.add_argument("--quick", action="store_true", help="one run of half a second each")
    result.add_argument("--runs", type=count, metavar="N", help="of each job (3)")
    result.add_argument(
        "--seconds",
        type=_positive_duration,
        metavar="TIME",
        help=f"measured per run ({FULL.seconds:g}s)",
    )
    result.add_argument(
        "--warmup", type=_duration, metavar="TIME", help=f"before that ({FULL.warmup:g}s)"
    )
    result.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="keep every run as JSON, beside what the file holds of other jobs",
    )
    return result


def _positive_duration(text: str) -> float:
    if not (seconds := _duration(text)):
        raise argparse.ArgumentTypeError("nothing can be measured in no time: write 1s or more")
    return seconds


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
