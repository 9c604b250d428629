"""Asynchronous input: the lines of standard input, or of a file, without blocking the loop."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator
from typing import Final

from chatctl.cli.output import say
from chatctl.errors import UsageError, why

_STDIN: Final = 0
_CHUNK: Final = 64 * 2**10
_READ_AHEAD: Final = 4
"""Chunks read ahead."""


def open_to_read(path: str) -> int:
    """Return a descriptor of the file at `path`; raises UsageError."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {why(error)}") from None


async def read_lines(descriptor: int = _STDIN, name: str = "standard input") -> AsyncIterator[str]:
    """Yield each line without its end.

    Raises UsageError, with `name`, when a line is not UTF-8 or cannot be read.

    A thread reads, because a file cannot be polled. It reads the bare descriptor: a thread that
    waits inside `sys.stdin` holds a lock that the interpreter needs at exit.
    """
    if descriptor == _STDIN and sys.stdin is None:
        return  # it was closed at the start, and the descriptor may belong to something else
    if os.isatty(descriptor):
        say(f"reading {name} (Ctrl-D ends the input)")
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[bytes | OSError] = asyncio.Queue()
    permits = threading.Semaphore(_READ_AHEAD)

    def read() -> None:
        chunk: bytes | OSError = b"-"
        while chunk and isinstance(chunk, bytes):
            permits.acquire()
            try:
                chunk = os.read(descriptor, _CHUNK)
            except OSError as error:
                chunk = error
            try:
                loop.call_soon_threadsafe(chunks.put_nowait, chunk)
            except RuntimeError:  # the loop is closed
                return

    threading.Thread(target=read, name=name, daemon=True).start()
    number, remainder = 0, b""
    while chunk := await chunks.get():
        if isinstance(chunk, OSError):
            raise UsageError(f"cannot read {name}: {why(chunk)}")
        permits.release()
        *lines, remainder = (remainder + chunk).split(b"\n")
        for line in lines:
            number += 1
            yield _decode(line, name, number)
    if remainder:
        yield _decode(remainder, name, number + 1)


def _decode(line: bytes, name: str, number: int) -> str:
    try:
        return line.removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        raise UsageError(f"{name}, line {number}: not UTF-8; convert it first") from None
