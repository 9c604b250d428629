"""Where one message ends and the next begins: newlines, and objects that delimit themselves.

A line ends at LF. A JSON object ends at the brace that closes it, so that clients that send
no newline are served too. Both are found in time linear in the bytes, however they arrive.
"""

import re
from collections.abc import Iterator
from typing import Final

BLANK: Final = b" \t\r"
"""White space inside a line; RFC 8259 allows no other around a value."""

_NOT_BLANK: Final = re.compile(rb"[^ \t\r]")
_OUTSIDE_STRING: Final = re.compile(rb'["{}]')
_INSIDE_STRING: Final = re.compile(rb'["\\]')


class ObjectScanner:
    """Finds the end of a JSON object in a buffer, over as many calls as it takes."""

    __slots__ = ("_depth", "_in_string", "_position")

    def __init__(self) -> None:
        self.restart()

    def restart(self, start: int = 0) -> None:
        """Forget what was seen: the next object begins at `start`."""
        self._position = start
        self._depth = 0
        self._in_string = False

    def find_end(self, buffer: bytes | bytearray) -> int:
        """Return the offset behind the object that has begun, or -1 to ask for more.

        Bytes seen by an earlier call are not looked at again. Only braces and strings count:
        whether what lies between is JSON is for the decoder to say.
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
                case 0x5C:  # a backslash escapes the next byte, which may not be here yet
                    self._position += 1
                case 0x7B:  # {
                    self._depth += 1
                case _:
                    self._depth -= 1
                    if self._depth <= 0:
                        return self._position


def split_objects(line: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield each object that stands on one line, and the offset behind it.

    What is no object, or no whole one, comes last and in one piece, white space behind it included.
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
    """Tell whether a line of `block` is longer than `limit` bytes, looking at few of its bytes."""
    start = 0
    while len(block) - start > limit:
        newline = block.rfind(b"\n", start, start + limit + 1)
        if newline < 0:
            return True
        start = newline + 1
    return False


class Framer:
    """Holds back what is not yet a whole line or object; never more than one limit of bytes."""

    __slots__ = ("_limit", "_scanner", "_skipping", "_tail")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tail = bytearray()
        self._scanner = ObjectScanner()
        self._skipping = False

    def feed(self, chunk: bytes) -> bytes:
        """Take what arrived and return the whole lines now complete, each with its newline."""
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
        """Whether nothing is held back."""
        return not self._tail

    @property
    def is_idle(self) -> bool:
        """Whether a new line begins with what comes next."""
        return not self._tail and not self._skipping

    def objects(self) -> Iterator[bytes]:
        """Yield the objects that are complete although no newline has come yet."""
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
        """Tell whether the unfinished line passed the limit; if so its rest will be dropped."""
        if len(self._tail) <= self._limit:
            return False
        self.skip_line()
        return True

    def skip_line(self) -> None:
        """Drop what is held back, and what comes, up to the next newline."""
        self._tail.clear()
        self._scanner.restart()
        self._skipping = True

    def take_rest(self) -> bytes:
        """Return what is held back and forget it: the end of file, or a change of format."""
        rest = bytes(self._tail)
        self._tail.clear()
        self._scanner.restart()
        return rest


def _skip_blanks(buffer: bytes | bytearray, start: int) -> int:
    # A strip would copy all that follows, once for each object.
    found = _NOT_BLANK.search(buffer, start)
    return found.start() if found else len(buffer)
