"""How long blocks of messages take: counted, timed, and marked where something is missing."""

from common.messages.feed import Block


class BlockTimer:
    """Counts messages into blocks of `size`; times in s, monotonic.

    Blocks adjoin: each lasts from the end of the one before, the first from `start`, to its own
    last message. A lost connection lengthens the block that spans it, which is marked.
    """

    def __init__(self, size: int, start: float) -> None:
        self.total = 0
        """Messages that came."""
        self.complete = 0
        """Blocks that are complete."""
        self._size = size
        self._began = start
        self._last = 0
        self._is_interrupted = False

    def count(self, number: int, now: float) -> Block | None:
        """Count the message with this `number`, taken at `now`; return the block it completes."""
        self._is_interrupted |= number != self._last + 1
        self._last = number
        self.total += 1
        if self.total % self._size:
            return None
        self.complete += 1
        block = Block(self._size, now - self._began, self._is_interrupted)
        self._began, self._is_interrupted = now, False
        return block

    def connection_lost(self) -> None:
        """Note that the connection was lost.

        When a message has come the numbers show it, once and in the right block: those that came
        before the loss may still be on their way here.
        """
        self._is_interrupted |= not self.total
