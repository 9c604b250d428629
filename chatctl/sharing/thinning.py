"""When to read on, so that what others send costs few acknowledgements."""

from typing import Final

GATHER: Final = 24 * 2**10
"""Bytes that are to gather before they are read: far less than any window, and 16 packets."""

LONGEST: Final = 0.036
"""How long (s) they are waited for at most."""

SHORTEST: Final = 0.004
"""What is not worth to be waited for (s): on a link of more than 6 MB/s nothing is."""

_SAMPLE: Final = 0.02


class Thinning:
    """Watches what one link brings of pieces; times are monotonic, in s.

    TCP acknowledges what a program has read. To one that reads at once, nine peers that send it
    3 Mbit/s each cost 1,200 acknowledgements a second, a fifth of an uplink of 3 Mbit/s (RFC 3449
    tells of such paths); what gathers costs a quarter of that, and less of the CPU, too.
    """

    __slots__ = ("_came", "_rate", "_read_at", "_took")

    def __init__(self) -> None:
        self._rate = 0.0  # B/s while a piece is coming in
        self._read_at: float | None = None
        self._came = 0
        self._took = 0.0

    def pause(self, size: int, lacking: int, now: float) -> float:
        """Return how long (s) to read nothing after the `size` bytes that were read at `now`.

        `lacking` are the bytes that a piece still lacks, 0 between pieces.
        """
        if self._read_at is not None:
            self._came += size
            self._took += now - self._read_at
            if self._took >= _SAMPLE:
                self._rate = self._came / self._took
                self._came, self._took = 0, 0.0
        self._read_at = now if lacking else None
        if not (lacking and self._rate):
            return 0.0
        pause = min(min(GATHER, lacking) / self._rate, LONGEST)
        return pause if pause >= SHORTEST else 0.0
