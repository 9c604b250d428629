"""Clock skew from one-way delays, and clock stability as the Allan deviation.

A delay is a constant minimum plus queueing, which only ever adds. When the clocks run at different
rates, that minimum rises or falls over time, and its slope is the skew: S. Moon, P. Skelly,
D. Towsley, "Estimation and Removal of Clock Skew from Network Delay Measurements", INFOCOM 1999,
who fit the line by linear programming. The line lies on the lower convex hull: L. Zhang, Z. Liu,
C. Xia, "Clock Synchronization Algorithms for Network Measurements", INFOCOM 2002.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from typing import Final, TypeAlias

from msgspec import Struct

Point: TypeAlias = tuple[int, int]
"""When a stamp was sent and how long it took, both in ns."""


class Skew(Struct, frozen=True):
    """How much faster the other clock runs: one direction alone gives `ppm` +- `spread_ppm`."""

    ppm: float
    spread_ppm: float


def skew(send: Iterable[Point], receive: Iterable[Point]) -> Skew | None:
    """Return the skew from the minimum delays of both directions.

    Skew raises the minimum of one direction and lowers that of the other by as much; a path that
    gets slower both ways raises both. Half the difference of the two slopes is therefore the skew,
    and half their sum tells how far the directions disagree. None when a direction has fewer than
    two stamps.
    """
    rising, falling = floor_slope(send), floor_slope(receive)
    if rising is None or falling is None:
        return None
    return Skew((rising - falling) / 2 * 1e6, abs(rising + falling) / 2 * 1e6)


def floor_slope(points: Iterable[Point]) -> float | None:
    """Return the slope of the minimum delay, or None when no two points differ in time.

    Of all lines with no point below, it is the one with the least sum of distances to the points
    (Moon et al., s. 4). That sum falls as the line rises at the mean time of the points. The
    highest line there is the edge of the lower hull above the mean time.
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
    """Return the lower convex hull of `points`, given in ascending order.

    Andrew's monotone chain (Information Processing Letters 9:5, 1979), exact on integers.
    """
    hull: list[Point] = []
    for x, y in points:
        if hull and hull[-1][0] == x:
            continue  # sorted, so this point is above the last one
        while len(hull) > 1:
            (x0, y0), (x1, y1) = hull[-2:]
            if (x1 - x0) * (y - y0) > (y1 - y0) * (x - x0):
                break  # a left turn
            hull.pop()
        hull.append((x, y))
    return hull


TAUS_NS: Final = (10_000_000, 100_000_000, 1_000_000_000, 10_000_000_000)
"""The spans that are reported by default: 0.01, 0.1, 1 and 10 s."""


class Stability(Struct, frozen=True):
    """The Allan deviation (a fraction of the frequency, no unit) over spans of `tau_ns`."""

    tau_ns: int
    deviation: float


def allan_deviation(phases: Sequence[int], interval_ns: int, factor: int) -> float:
    """Return the overlapping Allan deviation over spans of ``factor * interval_ns``.

    `phases` are clock offsets (ns), one every `interval_ns`. NIST SP 1065 (Riley 2008) s. 5.2.4,
    eq. 11, with N phases x, m = factor, tau = m intervals::

        variance = sum of (x[i + 2m] - 2 x[i + m] + x[i]) ** 2 for i = 1 to N - 2m,
                   divided by 2 (N - 2m) tau ** 2

    Raises ValueError when there are fewer than 2m + 1 phases.
    """
    terms = len(phases) - 2 * factor
    if terms < 1:
        raise ValueError(
            f"the Allan deviation over {factor} intervals needs {2 * factor + 1} offsets "
            f"or more, not {len(phases)}"
        )
    squares = sum(
        (late - 2 * middle + early) ** 2
        for early, middle, late in zip(phases, phases[factor:], phases[2 * factor :], strict=False)
    )
    return sqrt(squares / (2 * terms)) / (factor * interval_ns)


def stabilities(
    phases: Sequence[int], interval_ns: int, taus_ns: Iterable[int] = TAUS_NS
) -> tuple[Stability, ...]:
    """Return the Allan deviation for each of `taus_ns` (ns) that `phases` is long enough for.

    A span is rounded down to whole intervals. It is left out when it is shorter than one interval,
    or longer than a quarter of the run: an average needs at least two differences that share no
    offset. Offsets from stamps contain the jitter of their delays, which falls with 1 / tau (white
    phase noise); where the curve leaves that slope, it shows the clocks themselves.
    """
    factors = {tau_ns // interval_ns: None for tau_ns in taus_ns}
    return tuple(
        Stability(factor * interval_ns, allan_deviation(phases, interval_ns, factor))
        for factor in factors
        if 0 < 4 * factor < len(phases)
    )


def longest_run(series: Mapping[int, int]) -> list[int]:
    """Return the values of the longest run of consecutive numbers in `series`.

    The Allan deviation needs evenly spaced offsets, and a lost connection leaves a gap.
    """
    longest: list[int] = []
    run: list[int] = []
    for number in sorted(series):
        if number - 1 not in series:
            run = []
        run.append(series[number])
        if len(run) > len(longest):
            longest = run
    return longest
