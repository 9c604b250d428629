"""The swarms that are measured, and how fast any of them could be at best."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

GOODPUT: Final = 0.955
"""Bytes of files per byte on a link: 1,448 of 1,514, the rest is Ethernet, IP and TCP."""


class Case(Struct, frozen=True):
    """Peers, one for each uplink (Mbit/s on the link), and what chatctl is to reach.

    `goal` is the largest acceptable ratio of the time taken to `optimum`. Downlinks are not shaped.
    """

    name: str
    uplinks: tuple[float, ...]
    goal: float

    def optimum(self, size: int) -> float:
        """Return the least time (s) in which everyone can have a file of `size` bytes of everyone.

        The slowest must send its own file once, and all together send each file to all but one:
        T* of Kumar and Ross, "Peer-Assisted File Distribution: The Minimum Distribution Time",
        HotWeb 2006, for as many files as peers, where downlinks are no limit.
        """
        rates = [_bytes_per_second(uplink) for uplink in self.uplinks]
        return max(size / min(rates), self.deliveries * size / sum(rates))

    @property
    def deliveries(self) -> int:
        """How many files must cross a link: every peer's to every other."""
        return len(self.uplinks) * (len(self.uplinks) - 1)


def _bytes_per_second(uplink: float) -> float:
    return uplink * 1e6 / 8 * GOODPUT


def _case(name: str, uplinks: Sequence[float], goal: float) -> Case:
    return Case(f"{len(uplinks)}-{name}", tuple(uplinks), goal)


CASES: Final = (
    _case("equal", [10] * 3, 1.35),
    _case("one-slow", [4, 20, 20], 1.35),
    _case("equal", [10] * 5, 1.35),
    _case("two-slow", [3, 3, 30, 30, 30], 1.35),
    _case("equal", [8] * 10, 1.2),
    _case("half-slow", [3] * 5 + [30] * 5, 1.2),
    _case("one-slow", [3] + [30] * 9, 1.2),
)
