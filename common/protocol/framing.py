"""Message framing: newline-delimited lines, and JSON objects without a newline after them.

A line ends at LF. A JSON object ends at its closing brace, so clients that send no newline are
served as well. Both take time linear in the number of bytes, however these arrive.
"""

import re
from collections.abc import Iterator
from typing import Final

BLANK: Final = b" \t\r"
"""The white space within a line that RFC 8259 allows around a value."""

_NOT_BLANK: Final = re.compile(rb"[^ \t\r]")
_OUTSIDE_STRING: Final = re.compile(rb'["{}]')
_INSIDE_STRING: Final = re.compile(rb'["\\]')


class ObjectScanner:
    """Finds the end of a JSON object in a buffer, over as many calls as it takes."""

    __slots__ = ("_depth", "_in_string", "_position")

    def __init__(self) -> None:
        self.restart()

    def restart(self, start: int = 0) -> None:
        """Start again: the next object begins at `start`."""
        self._position = start
        self._depth = 0
        self._in_string = False

    def find_end(self, buffer: bytes | bytearray) -> int:
        """Return the offset after the current object, or -1 if its end is still missing.

        Each byte is scanned once. Only braces and strings count; the decoder finds out whether the
        rest is JSON.
        """
        while True:
            pattern = _INSIDE_STRING if self._in_string else _OUTSIDE_STRING
            found = pattern.search(buffer, self._position)
            if found is None:
                self._position = max(self._position, len(buffer))
                return -1
            self._position = found.end()
            match buffer[found.start()]:
                case 0x22:  # "
                    self._in_string = not self._in_string
                case 0x5C:  # a backslash escapes the next byte, which may not have arrived yet
                    self._position += 1
                case 0x7B:  # {
                    self._depth += 1
                case _:
                    self._depth -= 1
                    if self._depth <= 0:
                        return self._position


def split_objects(line: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield each object on one line, and the offset after it.

    Whatever is no complete object comes last, in one piece with the white space after it.
    """
    scanner = ObjectScanner()
    start = _skip_blanks(line, 0)
    while start < len(line):
        scanner.restart(start)
        end = scanner.find_end(line) if line.startswith(b"{", start) else -1
        if end < 0:
            end = len(line)
        yield line[start:end], end
        start = _skip_blanks(line, end)


def exceeds(block: bytes, limit: int) -> bool:
    """Return whether a line of `block` is longer than `limit` bytes, without scanning all of it."""
    start = 0
    while len(block) - start > limit:
        newline = block.rfind(b"\n", start, start + limit + 1)
        if newline < 0:
            return True
        start = newline + 1
    return False


class Framer:
    """Buffers bytes until they are a whole line or object; never more than `limit` plus a chunk."""

    __slots__ = ("_limit", "_scanner", "_skipping", "_tail")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tail = bytearray()
        self._scanner = ObjectScanner()
        self._skipping = False

    def feed(self, chunk: bytes) -> bytes:
        """Buffer `chunk` and return the lines that are now complete, each with its newline."""
        if self._skipping:
            newline = chunk.find(b"\n")
            if newline < 0:
                return b""
            chunk = chunk[newline + 1 :]
            self._skipping = False
        cut = chunk.rfind(b"\n") + 1
        if not cut:
            self._tail += chunk
            return b""
        block = bytes(self._tail) + chunk[:cut] if self._tail else chunk[:cut]
        self._tail = bytearray(chunk[cut:])
        self._scanner.restart()
        return block

    @property
    def is_empty(self) -> bool:
        """Whether the buffer is empty."""
        return not self._tail

    @property
    def is_idle(self) -> bool:
        """Whether the next byte begins a new line."""
        return not self._tail and not self._skipping

    def objects(self) -> Iterator[bytes]:
        """Yield the objects in the buffer that are complete although their newline is missing."""
        while True:
            del self._tail[: _skip_blanks(self._tail, 0)]
            if not self._tail.startswith(b"{"):
                return
            end = self._scanner.find_end(self._tail)
            if end < 0:
                return
            found = bytes(self._tail[:end])
            del self._tail[:end]
            self._scanner.restart()
            yield found

    def overflow(self) -> bool:
        """Return whether the unfinished line exceeds the limit; if so, drop the rest of it."""
        if len(self._tail) <= self._limit:
            return False
        self.skip_line()
        return True

    def skip_line(self) -> None:
        """Drop the buffer and everything up to the next newline."""
        self._tail.clear()
        self._scanner.restart()
        self._skipping = True

    def take_rest(self) -> bytes:
        """Empty the buffer and return its bytes, at the end of file or for another format."""
        rest = bytes(self._tail)
        self._tail.clear()
        self._scanner.restart()
        return rest


def _skip_blanks(buffer: bytes | bytearray, start: int) -> int:
    # lstrip would copy the rest of the buffer for each object.
    found = _NOT_BLANK.search(buffer, start)
    return found.start() if found else len(buffer)
