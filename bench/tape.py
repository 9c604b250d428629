"""Numbered messages of one length on an endless tape: what is sent, and what must be heard."""

from collections.abc import Callable
from typing import Final

from bench.dialects import ANY

CYCLE: Final = 64
"""Messages until the numbers begin again: more than are ever in flight to one listener."""


def content(number: int, size: int) -> str:
    """Return message `number`'s content of `size` (>= 4) ASCII characters."""
    return f"{number % CYCLE:04}".ljust(size, ".")


class Tape:
    """The messages of `once`, all of the same length, laid end to end without end.

    Listeners are checked against it byte for byte: a comparison costs a tenth of what parsing
    would, so that the load stays faster than the server. Where `mask` is given, only the bits that
    are set in it are compared.
    """

    def __init__(self, once: bytes, length: int, mask: bytes | None = None) -> None:
        self.length = length
        self.period = len(once)
        # As many bytes as are in it can be taken from anywhere without wrapping.
        self.twice = once * 2
        self.mask = mask and mask * 2

    def is_at(self, position: int, heard: bytes) -> bool:
        """Tell whether the tape reads `heard` from byte `position` on."""
        while heard:
            start = position % self.period
            piece = heard[: self.period]
            if _masked(piece, self.mask, start) != _masked(
                self.twice[start : start + len(piece)], self.mask, start
            ):
                return False
            heard, position = heard[len(piece) :], position + len(piece)
        return True


def _masked(piece: bytes, mask: bytes | None, start: int) -> bytes | int:
    if mask is None:
        return piece
    bits = int.from_bytes(mask[start : start + len(piece)], "big")
    return int.from_bytes(piece, "big") & bits


def numbered(message: Callable[[str], bytes], size: int) -> Tape:
    """Return what `message` makes of the contents 0, 1, 2 ... of `size` bytes each."""
    messages = [message(content(number, size)) for number in range(CYCLE)]
    return Tape(b"".join(messages), len(messages[0]))


def repeated(message: bytes, times: int) -> Tape:
    """Return `message` again and again, `times` of which can be sent at once."""
    mask = bytes(0 if bytes([byte]) == ANY else 0xFF for byte in message)
    return Tape(message * times, len(message), mask * times if 0 in mask else None)
