"""When to read on, so that what others send costs few acknowledgements."""

from typing import Final

MIN_READ: Final = 24 * 2**10
"""Bytes that are to gather before they are read: far less than any window, and 16 packets."""

MAX_DELAY: Final = 0.036
"""How long (s) they are waited for at most."""

MIN_DELAY: Final = 0.004
"""What is not worth to be waited for (s): on a connection of more than 6 MB/s nothing is."""

_SAMPLE: Final = 0.02


class ReadCoalescer:
    """Watches what one connection brings of pieces; times are monotonic, in s.

    TCP acknowledges what a program has read. To one that reads at once, nine peers that send it
    3 Mbit/s each cost 1,200 acknowledgements a second, a fifth of an uplink of 3 Mbit/s (RFC 3449
    tells of such paths); what gathers costs a quarter of that, and less of the CPU, too.
    """

    __slots__ = ("_bytes", "_elapsed", "_rate", "_read_at")

    def __init__(self) -> None:
        self._rate = 0.0  # B/s while a piece is coming in
        self._read_at: float | None = None
        self._bytes = 0
        self._elapsed = 0.0

    def delay(self, size: int, missing: int, now: float) -> float:
        """Return how long (s) to read nothing after the `size` bytes that were read at `now`.

        `missing` are the bytes that a piece still lacks, 0 between pieces.
        """
        if self._read_at is not None:
            self._bytes += size
            self._elapsed += now - self._read_at
            if self._elapsed >= _SAMPLE:
                self._rate = self._bytes / self._elapsed
                self._bytes, self._elapsed = 0, 0.0
        self._read_at = now if missing else None
        if not (missing and self._rate):
            return 0.0
        delay = min(min(MIN_READ, missing) / self._rate, MAX_DELAY)
        return delay if delay >= MIN_DELAY else 0.0
