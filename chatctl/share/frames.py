"""Framing between peers (sans-I/O): JSON lines, and raw bytes after those that announce them."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from common.messages.base import Message
from common.protocol.framing import BLANK
from common.protocol.registry import MessageRegistry

MAX_LINE: Final = 64 * 2**10
"""Bytes of the longest line that a peer may send."""


class PeerProtocolError(Exception):
    """The other side violated the protocol; the text completes "it …"."""


class Frame(NamedTuple):
    """A message; a second frame with the same message carries the raw bytes that it announced."""

    message: Message
    raw: bytearray | None


class FrameDecoder:
    """Decodes the bytes of one connection; buffers at most one line and one block of raw bytes."""

    def __init__(self, registry: MessageRegistry[Any], max_line: int = MAX_LINE) -> None:
        self.limits: Mapping[type[Message], int] = {}
        """Which messages announce raw bytes in their field `size`, and how many each may announce.

        Any other message that announces raw bytes is an error, before anything is allocated.
        """
        self._registry = registry
        self._max_line = max_line
        self._line = bytearray()
        self._header: Message | None = None
        self._raw = bytearray()
        self._filled = 0

    @property
    def missing(self) -> int:
        """How many bytes the current block of raw bytes still lacks; 0 between blocks."""
        return len(self._raw) - self._filled if self._header is not None else 0

    def feed(self, chunk: bytes | bytearray, end: int) -> Iterator[Frame]:
        """Yield the frames that the first `end` bytes of `chunk` complete; consume them at once.

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
                f"sent an invalid message: {self._registry.explain(line).detail}"
            )
        size, limit = _size(message), self.limits.get(type(message), 0)
        if size > limit:
            code = message.__struct_config__.tag
            raise PeerProtocolError(
                f"announced {size} bytes after {code}, at most {limit} are allowed"
            )
        return message

    def _begin(self, message: Message) -> None:
        """Expect the raw bytes that `message` announced, if it is of a kind that does."""
        if type(message) in self.limits:
            self._header, self._raw, self._filled = message, bytearray(_size(message)), 0


def _size(message: Message) -> int:
    size: int = getattr(message, "size", 0)
    return size
