"""What pings say: how long the way is, and how far the clocks are apart."""

import statistics
from collections.abc import Sequence
from math import ceil
from typing import Self

from msgspec import Struct

from chatctl.events import Probe


class PingResult(Struct, frozen=True):
    """One answered ping."""

    seq: int
    time_ms: float
    offset_ms: float

    @classmethod
    def of(cls, seq: int, probe: Probe) -> Self:
        """Return what to show of `probe`, the ping number `seq`."""
        return cls(seq, round(probe.round_trip * 1e3, 3), round(probe.offset * 1e3, 3))

    def __str__(self) -> str:
        return f"seq={self.seq} time={self.time_ms:.3f} ms"


class PingSummary(Struct, frozen=True):
    """Times in ms; `p99_ms` is the nearest rank, `clock_offset_ms` the server's clock minus ours.

    The offset is that of the ping with the least delay, as in the clock filter of RFC 5905
    section 10: the less a ping was held up, the less its two ways can differ. It is wrong by at
    most `clock_error_ms`, half of that delay.
    """

    sent: int
    answered: int
    min_ms: float
    mean_ms: float
    median_ms: float
    p99_ms: float
    max_ms: float
    clock_offset_ms: float
    clock_error_ms: float

    @classmethod
    def of(cls, sent: int, probes: Sequence[Probe]) -> Self:
        """Return what `probes`, the answered ones (at least one), say together."""
        times = sorted(probe.round_trip for probe in probes)
        best = min(probes, key=lambda probe: probe.delay)
        seconds = (
            times[0],
            statistics.fmean(times),
            statistics.median(times),
            times[ceil(0.99 * len(times)) - 1],
            times[-1],
            best.offset,
            best.delay / 2,
        )
        return cls(sent, len(times), *(round(value * 1e3, 3) for value in seconds))

    def __str__(self) -> str:
        lost = 100 * (self.sent - self.answered) / self.sent
        times = (self.min_ms, self.mean_ms, self.median_ms, self.p99_ms, self.max_ms)
        return (
            f"{self.sent} sent, {self.answered} answered, {lost:.4g}% lost\n"
            f"round trip min/mean/median/p99/max = {'/'.join(f'{ms:.3f}' for ms in times)} ms\n"
            f"clock offset {self.clock_offset_ms:+.3f} ms, at most {self.clock_error_ms:.3f} ms off"
        )
