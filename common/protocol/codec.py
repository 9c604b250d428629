"""The JSON codec: bytes to messages and back.

The lines of a chunk are decoded in one call. Only if one of them is not exactly one message are
they decoded one by one.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Final, Generic, TypeVar

import msgspec
from msgspec import Raw, Struct

from common.messages.base import Error
from common.protocol.framing import BLANK, Framer, exceeds, split_objects
from common.protocol.registry import MessageRegistry, too_long

MAX_LINE: Final = 65_536
"""Default maximum length of a line, in bytes."""

# A hello with a format changes how the bytes after it are read. JSON may also write the letters of
# that key as escapes, although no encoder does.
_FORMAT_CHANGE: Final = b'"format"'
_ESCAPED_LETTER: Final = re.compile(rb"\\u00[67]")

_encoder: Final = msgspec.json.Encoder()


def encode(message: Struct | Raw) -> bytes:
    """Return one message as JSON with its newline."""
    return _encoder.encode(message) + b"\n"


encode_lines: Final[Callable[[Sequence[Struct | Raw]], bytes]] = _encoder.encode_lines
"""Encodes messages as JSON, each with its newline, in one call; copies those that are Raw."""


class InvalidLine(Struct, frozen=True, gc=False):
    """A line, or an object on a line, that is no message; `error` is the answer to it."""

    error: Error


M = TypeVar("M", bound=Struct)


class Decoder(Generic[M]):
    """Decodes the bytes of one connection to messages of a registry and `InvalidLine`s.

    The result does not depend on how the bytes are split into chunks.
    """

    __slots__ = ("_block", "_consumed", "_framer", "_is_idle", "_max_line", "_registry")

    def __init__(self, registry: MessageRegistry[M], max_line: int = MAX_LINE) -> None:
        self._registry = registry
        self._max_line = max_line
        self._framer = Framer(max_line)
        self._is_idle = True
        # The lines that are being decoded one by one, and the offset that the consumer reached.
        self._block = b""
        self._consumed = 0

    def feed(self, chunk: bytes) -> Iterable[M | InvalidLine]:
        """Return the messages that `chunk` completes; consume them before the next call.

        A consumer that stops in the middle gets the bytes after that from `take_rest`.
        """
        # Most chunks are exactly one line, which needs no framing.
        if not self._is_idle:
            self._is_idle = self._framer.is_idle
        if self._is_idle and chunk.find(b"\n") == len(chunk) - 1 <= self._max_line:
            message = self._registry.decode(chunk)
            if message is not None:
                return (message,)
        self._is_idle = False
        block = self._framer.feed(chunk)
        messages = self._decode_block(block) if block else []
        if messages is None:
            return chain(self._decode_lines(block), self._decode_tail())
        if self._framer.is_empty:
            return messages
        return chain(messages, self._decode_tail())

    def finish(self) -> Iterator[M | InvalidLine]:
        """Return what the end of file completes: an unfinished line counts as the last line."""
        return (message for message, _ in self._decode_line(self._framer.take_rest()))

    def take_rest(self) -> bytes:
        """Return the bytes after the last message that was consumed, and forget them."""
        rest = self._block[self._consumed :] + self._framer.take_rest()
        self._block = b""
        self._consumed = 0
        return rest

    def _decode_block(self, block: bytes) -> list[M] | None:
        """Decode whole lines in one call, or return None if they must be decoded one by one."""
        if _may_change_format(block) or exceeds(block, self._max_line):
            return None
        return self._registry.decode_lines(block)

    def _decode_lines(self, block: bytes) -> Iterator[M | InvalidLine]:
        self._block = block
        start = 0
        for line in block[:-1].split(b"\n"):
            for message, end in self._decode_line(line):
                self._consumed = start + end
                yield message
            start += len(line) + 1
        self._block = b""
        self._consumed = 0

    def _decode_line(self, line: bytes) -> Iterator[tuple[M | InvalidLine, int]]:
        """Yield the messages on one line, each with the offset after it."""
        end = len(line.rstrip(BLANK))
        if not end:
            return
        if len(line) <= self._max_line and (message := self._registry.decode(line)) is not None:
            yield message, end
            return
        for piece, end in split_objects(line):
            if len(piece) > self._max_line:
                yield InvalidLine(too_long(self._max_line)), end
                return
            if len(piece) == len(line):  # rejected above
                yield InvalidLine(self._registry.explain(piece)), end
            else:
                yield self._decode_piece(piece), end

    def _decode_tail(self) -> Iterator[M | InvalidLine]:
        for piece in self._framer.objects():
            if len(piece) > self._max_line:
                self._framer.skip_line()
                yield InvalidLine(too_long(self._max_line))
                return
            yield self._decode_piece(piece)
        if self._framer.overflow():
            yield InvalidLine(too_long(self._max_line))

    def _decode_piece(self, piece: bytes) -> M | InvalidLine:
        message = self._registry.decode(piece)
        return InvalidLine(self._registry.explain(piece)) if message is None else message


def _may_change_format(block: bytes) -> bool:
    if _FORMAT_CHANGE in block:
        return True
    return b"\\" in block and _ESCAPED_LETTER.search(block) is not None
