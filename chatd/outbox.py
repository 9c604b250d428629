"""What one connection is still to be sent, in order, encoded as late and as seldom as possible."""

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from chatd.dialects import Dialect
from common.messages.base import Message

BUSY_BYTES: Final = 256 * 1024
BUSY_REPLIES: Final = 512
"""Past either, the connection is not read from until its outbox has been written."""


class Part(Struct, frozen=True, gc=False):
    """Encoded messages that many outboxes may share; `last_id` is the newest log id in them."""

    encoded: bytes
    last_id: int = 0


class Outbox:
    """A queue of replies (messages for this connection alone) and parts.

    `wake` is called when the first of either is queued after `is_awake` was reset; whoever it wakes
    resets that and calls `flush`, which takes until nothing comes and writes it with `write`. Where
    there is a `descriptor` it may also take once and write there what it got.
    """

    __slots__ = (
        "_parts",
        "_replies",
        "_wake",
        "descriptor",
        "dialect",
        "flush",
        "is_awake",
        "is_blocked",
        "is_busy",
        "refill",
        "size",
        "taken_id",
        "write",
    )

    def __init__(
        self,
        wake: Callable[["Outbox"], None],
        flush: Callable[[], None],
        write: Callable[[bytes], None],
    ) -> None:
        self.descriptor: int | None = None
        """Of the socket, as long as what is taken has only to be written to it."""
        self.dialect = Dialect.BARE
        self.flush = flush
        self.write = write
        self.is_awake = False
        self.is_busy = False
        """Whether there is so much to write that nothing more should be asked for."""
        self.is_blocked = False
        """Whether the kernel did not take all that was taken: the other side does not read."""
        self.refill: Callable[[], None] | None = None
        """Called when all that was queued went to the kernel, by whoever takes; may queue more."""
        self.size = 0
        """Bytes queued; replies count from when they are packed."""
        self.taken_id = 0
        """Newest log id that was taken out."""
        self._replies: list[Message] = []
        # No deque, although they leave in front: one with nothing in it takes 0.6 KB, a seventh of
        # a connection that does nothing.
        self._parts: list[Part] = []
        self._wake = wake

    def speak(self, dialect: Dialect) -> None:
        """Encode what comes from now on in `dialect`."""
        if self._replies:
            self.pack()
        self.dialect = dialect

    def send(self, message: Message) -> None:
        """Queue a reply."""
        replies = self._replies
        replies.append(message)
        if len(replies) > BUSY_REPLIES:
            self.is_busy = True
        if not self.is_awake:
            self.is_awake = True
            self._wake(self)

    def send_all(self, messages: Sequence[Message]) -> None:
        """Queue replies, at least one."""
        *most, last = messages
        self._replies.extend(most)
        self.send(last)

    def put(self, part: Part) -> None:
        """Queue what is already encoded, behind everything queued before."""
        if self._replies:
            self.pack()
        self._parts.append(part)
        self.size += len(part.encoded)
        if self.size > BUSY_BYTES:
            self.is_busy = True
        if not self.is_awake:
            self.is_awake = True
            self._wake(self)

    def pack(self) -> None:
        """Encode the replies queued so far; from then on their bytes count."""
        encoded = self.dialect.encode(self._replies)
        self._replies.clear()
        if encoded:
            self._parts.append(Part(encoded))
            self.size += len(encoded)
            if self.size > BUSY_BYTES:
                self.is_busy = True

    def take(self, limit: int) -> bytes:
        """Return what comes next: whole parts, about `limit` bytes of them; b"" when empty.

        A part that comes alone is returned itself, not a copy: all its recipients share it.
        """
        parts = self._parts
        if self._replies:
            if not parts:
                encoded = self.dialect.encode(self._replies)
                self._replies.clear()
                self.is_busy = False
                return encoded
            self.pack()
        if not parts:
            return b""
        if len(parts) == 1:
            part = parts.pop()
            encoded, last_id = part.encoded, part.last_id
        else:
            encoded, last_id = self._join(limit)
        self.size -= len(encoded)
        self.is_busy = self.size > BUSY_BYTES
        self.taken_id = max(self.taken_id, last_id)
        return encoded

    def _join(self, limit: int) -> tuple[bytes, int]:
        """Take parts out; return them as one, and the newest id in them."""
        taken, size, last_id = [], 0, 0
        for part in self._parts:
            taken.append(part.encoded)
            size += len(part.encoded)
            last_id = max(last_id, part.last_id)
            if size >= limit:
                break
        del self._parts[: len(taken)]
        return b"".join(taken), last_id

    def clear(self) -> None:
        """Forget everything that was not taken."""
        self._replies.clear()
        self._parts.clear()
        self.size = 0
        self.is_busy = False
