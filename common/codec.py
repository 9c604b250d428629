"""Bytes to messages and back.

One chunk of bytes becomes many messages in one call of msgspec. Only when that fails, or when the
bytes are not one object a line, are they taken apart one by one.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final, Generic, TypeVar

import msgspec
from msgspec import Struct

from common.catalogue import Catalogue
from common.faults import too_long
from common.framing import Framer, exceeds, split_objects
from common.messages.base import Error

MAX_LINE: Final = 65_536
"""Default limit of a line, in bytes."""

# A hello that asks for another format changes how the bytes behind it are to be read.
_FORMAT_CHANGE: Final = b'"format"'

_encoder: Final = msgspec.json.Encoder()


def encode(message: Struct) -> bytes:
    """Write one message as JSON with its newline."""
    return _encoder.encode(message) + b"\n"


def encode_lines(messages: Sequence[Struct]) -> bytes:
    """Write messages as JSON, each with its newline, in one call."""
    return _encoder.encode_lines(messages)


class BadLine(Struct, frozen=True, gc=False):
    """A line, or an object on one, that is no message; `error` is the answer it deserves."""

    error: Error


M = TypeVar("M", bound=Struct)


class Decoder(Generic[M]):
    """Turns the bytes of one connection into messages of a catalogue, and `BadLine`s.

    What comes out does not depend on how the bytes were cut into chunks.
    """

    def __init__(self, catalogue: Catalogue[M], max_line: int = MAX_LINE) -> None:
        self._catalogue = catalogue
        self._max_line = max_line
        self._framer = Framer(max_line)
        self._unread_lines: Iterator[bytes] = iter(())
        self._unread_rest = b""

    def feed(self, chunk: bytes) -> Iterable[M | BadLine]:
        """Return what became complete with `chunk`; to be consumed before the next call.

        A consumer that stops in the middle finds the bytes it did not get to in `take_rest`.
        """
        block = self._framer.feed(chunk)
        messages = self._decode_block(block) if block else []
        if messages is None:
            return chain(self._decode_lines(block), self._decode_tail())
        if self._framer.is_empty:
            return messages
        return chain(messages, self._decode_tail())

    def finish(self) -> Iterator[M | BadLine]:
        """Return what the end of file completes: an unfinished line is the last line."""
        return self._decode_line(self._framer.take_rest())

    def take_rest(self) -> bytes:
        """Return the bytes that were fed but not consumed, and forget them."""
        unread = [self._unread_rest, *self._unread_lines, self._framer.take_rest()]
        self._unread_rest = b""
        return b"\n".join(unread)

    def _decode_block(self, block: bytes) -> list[M] | None:
        """Decode whole lines at once, or return None where they must be looked at one by one."""
        if _FORMAT_CHANGE in block or exceeds(block, self._max_line):
            return None
        messages = self._catalogue.decode_lines(block)
        if messages is None:
            return None
        # decode_lines also takes objects that share a line or span several. With "}\n{" around
        # every inner newline (no JSON value contains that) each line was one object.
        inner_newlines = len(messages) - 1
        if block.count(b"}\n{") == inner_newlines and block.count(b"\n") == inner_newlines + 1:
            return messages
        return None

    def _decode_lines(self, block: bytes) -> Iterator[M | BadLine]:
        self._unread_lines = iter(block[:-1].split(b"\n"))
        for line in self._unread_lines:
            yield from self._decode_line(line)

    def _decode_line(self, line: bytes) -> Iterator[M | BadLine]:
        if len(line) <= self._max_line and (message := self._catalogue.decode(line)) is not None:
            yield message
            return
        for piece, self._unread_rest in split_objects(line):
            if len(piece) > self._max_line:
                yield BadLine(too_long(self._max_line))
                return
            yield self._decode_piece(piece)

    def _decode_tail(self) -> Iterator[M | BadLine]:
        for piece in self._framer.objects():
            if len(piece) > self._max_line:
                self._framer.skip_line()
                yield BadLine(too_long(self._max_line))
                return
            yield self._decode_piece(piece)
        if self._framer.overflow():
            yield BadLine(too_long(self._max_line))

    def _decode_piece(self, piece: bytes) -> M | BadLine:
        message = self._catalogue.decode(piece)
        return BadLine(self._catalogue.explain(piece)) if message is None else message
