"""Standard output and error at their edges: closed, full, or with nobody who reads."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from chatctl.errors import PartialError, why


class OutputError(PartialError):
    """What is known could not be written."""


def reopen_closed() -> None:
    """Let what the caller closed (``>&-``) lead nowhere.

    Otherwise `print` would take stdout for a missing stderr, and a socket the number of either.
    """
    while (devnull := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(devnull, True)
    os.close(devnull)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def write(text: str) -> None:
    """Write a line to stdout, at once; raises BrokenPipeError when nobody reads it, OutputError."""
    try:
        print(text, flush=True)  # noqa: T201 - this is where data leaves
    except OSError as error:
        raise _output_error(error) from None


def write_bytes(lines: bytes) -> None:
    """Write lines that are UTF-8 already; raises as `write` does."""
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(lines)
        sys.stdout.buffer.flush()
    except OSError as error:
        raise _output_error(error) from None


@contextmanager
def argparse_output() -> Iterator[None]:
    """Have written what argparse prints in the block, before it exits; raises as `write` does."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as error:
        raise _output_error(error) from None


def discard_output() -> None:
    """Write nothing any more: the interpreter flushes at its end, and must not fail there."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(devnull, stream.fileno())


def _output_error(error: OSError) -> Exception:
    if isinstance(error, BrokenPipeError):
        return error
    return OutputError(f"cannot write to stdout: {why(error)}")
