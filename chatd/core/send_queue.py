"""The send queue: the output buffer of one connection, in order, encoded as late as possible."""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from msgspec import Struct

from chatd.core.formats import Format
from common.messages.base import Message

HIGH_WATER_BYTES: Final = 256 * 1024
HIGH_WATER_REPLIES: Final = 512
"""Above either, the connection is not read until its send queue has been written."""


class EncodedChunk(Struct, frozen=True, gc=False):
    """Encoded messages that many send queues may share; `last_id` is the newest log id in them."""

    encoded: bytes
    last_id: int = 0


class Writer(Protocol):
    """Where a send queue is written to."""

    @property
    def write(self) -> Callable[[bytes], int]:
        """Writes as many of the bytes as are taken at once, and returns how many those were.

        Raises OSError where nothing is taken now.
        """


class SendQueue:
    """The output buffer of one connection: replies (messages for it alone) and encoded chunks.

    `schedule` is called when the first of either is queued after `is_scheduled` was reset. Whoever
    it wakes resets that, and then either takes once and writes what it got to `writer`, or calls
    `flush`. `flush` gets what the writer did not take, takes until nothing is left, and writes all
    of it as the connection allows.
    """

    __slots__ = (
        "_chunks",
        "_replies",
        "_schedule",
        "flush",
        "format",
        "is_above_high_water",
        "is_blocked",
        "is_scheduled",
        "last_sent_id",
        "on_drained",
        "size",
        "writer",
    )

    def __init__(
        self,
        schedule: Callable[["SendQueue"], None],
        flush: Callable[[bytes], None],
        writer: Writer | None = None,
    ) -> None:
        self.writer = writer
        """Where it is written to; None when only `flush` may write, as when it is closing."""
        self.format = Format.LEGACY
        self.flush = flush
        self.is_scheduled = False
        self.is_above_high_water = False
        """Whether so much is queued that no more requests should be read."""
        self.is_blocked = False
        """Whether the kernel did not take everything: the client reads too slowly."""
        self.on_drained: Callable[[], None] | None = None
        """Called by `flush` when the kernel has everything that was queued; may queue more."""
        self.size = 0
        """Bytes queued; replies count from when they are encoded."""
        self.last_sent_id = 0
        """Newest log id that was taken."""
        self._replies: list[Message] = []
        # No deque, although chunks leave at the front: an empty one takes 0.6 KB, a seventh of an
        # idle connection.
        self._chunks: list[EncodedChunk] = []
        self._schedule = schedule

    def set_format(self, wire_format: Format) -> None:
        """Encode in `wire_format` what is queued from now on."""
        if self._replies:
            self.encode_pending()
        self.format = wire_format

    def send(self, message: Message) -> None:
        """Queue a reply."""
        replies = self._replies
        replies.append(message)
        if len(replies) > HIGH_WATER_REPLIES:
            self.is_above_high_water = True
        if not self.is_scheduled:
            self.is_scheduled = True
            self._schedule(self)

    def send_all(self, messages: Sequence[Message]) -> None:
        """Queue replies, at least one."""
        *most, last = messages
        self._replies.extend(most)
        self.send(last)

    def put(self, chunk: EncodedChunk) -> None:
        """Queue what is already encoded."""
        if self._replies:
            self.encode_pending()
        self._chunks.append(chunk)
        self.size += len(chunk.encoded)
        if self.size > HIGH_WATER_BYTES:
            self.is_above_high_water = True
        if not self.is_scheduled:
            self.is_scheduled = True
            self._schedule(self)

    def encode_pending(self) -> None:
        """Encode the replies queued so far; from then on their bytes count."""
        encoded = self.format.encode(self._replies)
        self._replies.clear()
        if encoded:
            self._chunks.append(EncodedChunk(encoded))
            self.size += len(encoded)
            if self.size > HIGH_WATER_BYTES:
                self.is_above_high_water = True

    def take(self, limit: int) -> bytes:
        """Remove and return the next chunks, whole, of about `limit` bytes; b"" when empty.

        A single chunk is returned without a copy: all its recipients share it.
        """
        chunks = self._chunks
        if self._replies:
            if not chunks:
                encoded = self.format.encode(self._replies)
                self._replies.clear()
                self.is_above_high_water = False
                return encoded
            self.encode_pending()
        if not chunks:
            return b""
        if len(chunks) == 1:
            chunk = chunks.pop()
            encoded, last_id = chunk.encoded, chunk.last_id
        else:
            encoded, last_id = self._join_chunks(limit)
        self.size -= len(encoded)
        self.is_above_high_water = self.size > HIGH_WATER_BYTES
        self.last_sent_id = max(self.last_sent_id, last_id)
        return encoded

    def _join_chunks(self, limit: int) -> tuple[bytes, int]:
        """Remove chunks; return their bytes joined, and the newest id in them."""
        taken, size, last_id = [], 0, 0
        for chunk in self._chunks:
            taken.append(chunk.encoded)
            size += len(chunk.encoded)
            last_id = max(last_id, chunk.last_id)
            if size >= limit:
                break
        del self._chunks[: len(taken)]
        return b"".join(taken), last_id

    def clear(self) -> None:
        """Drop everything that was not taken."""
        self._replies.clear()
        self._chunks.clear()
        self.size = 0
        self.is_above_high_water = False
