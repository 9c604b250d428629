"""Standard output and standard error at their edges: closed, full, or without a reader."""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO


class OutputError(Exception):
    """Standard output cannot be written; the text says why."""


class CheckedArgumentParser(ArgumentParser):
    """Raises OSError when stdout does not take the help or the version; argparse would drop it.

    Parse inside `printed`.
    """

    def _print_message(self, message: str, file: Any = None) -> None:
        if file is sys.stdout:
            file.write(message)
        else:
            super()._print_message(message, file)


def open_closed() -> None:
    """Open /dev/null for every standard stream that the caller closed (``>&-``).

    Otherwise the next socket would get the number of such a stream, and `print` would take stdout
    for a missing stderr.
    """
    while (devnull := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(devnull, True)
    os.close(devnull)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def write(text: str) -> None:
    """Write a line to stdout and flush it.

    Raises BrokenPipeError when the reader is gone, and OutputError when there is no space. After
    either, stdout leads to /dev/null.
    """
    with _stdout_errors():
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def write_bytes(lines: bytes) -> None:
    """Write lines that are encoded already; raises as `write` does."""
    with _stdout_errors():
        sys.stdout.flush()
        sys.stdout.buffer.write(lines)
        sys.stdout.buffer.flush()


@contextmanager
def printed() -> Iterator[None]:
    """Flush what argparse prints in the block before it exits; raises as `write` does."""
    with _stdout_errors():
        try:
            yield
        finally:
            sys.stdout.flush()


def discard_output() -> None:
    """Send whatever is still printed to /dev/null."""
    for stream in (sys.stdout, sys.stderr):
        _discard(stream)


@contextmanager
def _stdout_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        _discard(sys.stdout)
        if isinstance(error, BrokenPipeError):
            raise
        reason = os.strerror(error.errno or 0).lower()
        raise OutputError(f"cannot write to stdout: {reason}") from None


def _discard(stream: TextIO) -> None:
    # The interpreter flushes every stream when it ends. If that failed, it would change the code.
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, stream.fileno())
    os.close(devnull)
