"""What the commands of the benchmarks have in common: numbers of runs, and words on stderr."""

import argparse
import sys


def say(line: str) -> None:
    """Tell how it goes, beside the figures."""
    print(f"bench: {line}", file=sys.stderr, flush=True)


def count(text: str) -> int:
    """Return a number of runs, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of runs: write 1 or more")
    return int(text)
