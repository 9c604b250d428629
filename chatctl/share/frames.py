"""Lines, and raw bytes behind those that announce them; no sockets."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from common.messages.base import Message
from common.protocol.framing import BLANK
from common.protocol.registry import MessageRegistry

MAX_LINE: Final = 64 * 2**10
"""Longest line taken from a peer, in bytes."""


class PeerProtocolError(Exception):
    """The other side does not speak the protocol; the text completes "it …"."""


class Frame(NamedTuple):
    """A message, or, once they are there, the raw bytes that it announced."""

    message: Message
    raw: bytearray | None


class FrameDecoder:
    """Turns the bytes of one connection into frames; holds one line and one raw block at most."""

    def __init__(self, registry: MessageRegistry[Any], max_line: int = MAX_LINE) -> None:
        self.limits: Mapping[type[Message], int] = {}
        """Which kinds of message announce raw bytes, in their field `size`, and the most of each.

        All others that announce any are refused, before anything is allocated.
        """
        self._registry = registry
        self._max_line = max_line
        self._line = bytearray()
        self._header: Message | None = None
        self._raw = bytearray()
        self._filled = 0

    @property
    def missing(self) -> int:
        """Bytes that a raw block which has begun still lacks; 0 between blocks."""
        return len(self._raw) - self._filled if self._header is not None else 0

    def feed(self, chunk: bytes | bytearray, end: int) -> Iterator[Frame]:
        """Yield what is complete with the first `end` bytes of `chunk`; to be consumed at once.

        Raises PeerProtocolError.
        """
        position = 0
        view = memoryview(chunk)
        while position < end:
            if self._header is not None:
                taken = min(len(self._raw) - self._filled, end - position)
                self._raw[self._filled : self._filled + taken] = view[position : position + taken]
                self._filled += taken
                position += taken
            else:
                newline = chunk.find(b"\n", position, end)
                stop = end if newline < 0 else newline
                self._line += view[position:stop]
                position = stop + 1
                if len(self._line) > self._max_line:
                    raise PeerProtocolError(f"sent a line of more than {self._max_line} bytes")
                if newline >= 0 and (message := self._message()) is not None:
                    yield Frame(message, None)
                    self._begin(message)
            if self._header is not None and self._filled == len(self._raw):
                frame = Frame(self._header, self._raw)
                self._header = None
                yield frame

    def _message(self) -> Message | None:
        line = bytes(self._line).strip(BLANK)
        self._line.clear()
        if not line:
            return None
        message: Message | None = self._registry.decode(line)
        if message is None:
            raise PeerProtocolError(
                f"sent what is no message: {self._registry.explain(line).detail}"
            )
        size, limit = _size(message), self.limits.get(type(message), 0)
        if size > limit:
            code = message.__struct_config__.tag
            raise PeerProtocolError(
                f"announced {size} bytes behind {code}; {limit} are the most here"
            )
        return message

    def _begin(self, message: Message) -> None:
        """Wait for the raw bytes that `message` announced, unless it is of a kind without."""
        if type(message) in self.limits:
            self._header, self._raw, self._filled = message, bytearray(_size(message)), 0


def _size(message: Message) -> int:
    size: int = getattr(message, "size", 0)
    return size
