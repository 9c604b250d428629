"""Standard output and error at their edges: closed, full, or with nobody who reads."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class OutputError(Exception):
    """A line could not be written; its text says why."""


class UnreadError(OutputError):
    """Nobody reads stdout any more."""


def open_closed() -> None:
    """Let what the caller closed (``>&-``) lead nowhere, lest a socket gets its number."""
    while (devnull := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(devnull, True)
    os.close(devnull)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def write(text: str) -> None:
    """Write a line to stdout, at once; raises OutputError, and then nothing is written there."""
    with _explained():
        print(text, flush=True)  # noqa: T201 - it is data


@contextmanager
def printed() -> Iterator[None]:
    """Have written what argparse prints in the block, before it exits; raises as `write` does."""
    with _explained():
        try:
            yield
        finally:
            sys.stdout.flush()


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # The interpreter flushes at its end, and must not fail there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        kind = UnreadError if isinstance(error, BrokenPipeError) else OutputError
        raise kind(f"cannot write to stdout: {os.strerror(error.errno or 0).lower()}") from None
