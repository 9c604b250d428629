"""How fast one clock runs away from another, seen at the floor of the delays.

A delay is a constant floor plus waiting that only ever adds. When the clocks run at different rates
the floor tilts, and its slope is the skew: S. Moon, P. Skelly, D. Towsley, "Estimation and Removal
of Clock Skew from Network Delay Measurements", INFOCOM 1999, which fits the line by linear
programming. The line sought lies on the lower convex hull: L. Zhang, Z. Liu, C. Xia, "Clock
Synchronization Algorithms for Network Measurements", INFOCOM 2002.
"""

from bisect import bisect_left
from collections.abc import Iterable
from typing import TypeAlias

from msgspec import Struct

Point: TypeAlias = tuple[int, int]
"""When a stamp was sent and how long it took, both in ns."""


class Skew(Struct, frozen=True):
    """`ppm` is how much faster the other clock runs; each way alone gives `ppm` +- `spread_ppm`."""

    ppm: float
    spread_ppm: float


def skew(send: Iterable[Point], receive: Iterable[Point]) -> Skew | None:
    """Return the skew by the delay floors of both ways; None when one way has no two stamps.

    The clock that gains raises the floor of one way and lowers that of the other as much, while a
    route that gets slower both ways raises both: the mean of the slopes, the second turned round,
    keeps the one and drops the other, and half their difference tells how far they disagree.
    """
    rising, falling = floor_slope(send), floor_slope(receive)
    if rising is None or falling is None:
        return None
    return Skew((rising - falling) / 2 * 1e6, abs(rising + falling) / 2 * 1e6)


def floor_slope(points: Iterable[Point]) -> float | None:
    """Return the slope of the delay floor, or None when not even two points differ in time.

    Of all lines that no point lies below, it is that with the least sum of distances to the points
    (Moon et al., s. 4). The sum falls as the line rises at the mean time of the points, so the
    highest there is the edge of the lower hull that spans the mean.
    """
    points = sorted(points)
    hull = lower_hull(points)
    if len(hull) < 2:
        return None
    total = sum(time for time, _ in points)
    right = max(1, bisect_left(hull, total, key=lambda point: point[0] * len(points)))
    (x0, y0), (x1, y1) = hull[right - 1 : right + 1]
    return (y1 - y0) / (x1 - x0)


def lower_hull(points: Iterable[Point]) -> list[Point]:
    """Return the lower convex hull of `points`, which are in ascending order.

    Andrew's monotone chain (Information Processing Letters 9:5, 1979), exact on integers.
    """
    hull: list[Point] = []
    for x, y in points:
        if hull and hull[-1][0] == x:
            continue  # sorted, so this one is above the last
        while len(hull) > 1:
            (x0, y0), (x1, y1) = hull[-2:]
            if (x1 - x0) * (y - y0) > (y1 - y0) * (x - x0):
                break  # a turn to the left
            hull.pop()
        hull.append((x, y))
    return hull
