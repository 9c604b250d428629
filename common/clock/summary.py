"""One row of statistics."""

from collections.abc import Iterable, Sequence
from math import isqrt
from operator import mul

from msgspec import Struct


class Summary(Struct, frozen=True):
    """What `count` samples come to, in ns.

    Percentiles are those of RFC 2330 s. 11.3, by nearest rank: the smallest sample that at least so
    many per cent of all samples do not exceed, always one that occurred. The median of an even
    count is the mean of the two in the middle, as there. The standard deviation is that of the
    population (divided by the count): it describes these samples and estimates no others.
    """

    count: int
    min_ns: int
    mean_ns: int
    median_ns: int
    p90_ns: int
    p99_ns: int
    p99_9_ns: int
    max_ns: int
    stddev_ns: int


def summarize(samples: Iterable[int]) -> Summary | None:
    """Return the statistics of `samples` (ns), or None when there are none.

    Sums are exact; mean and median are rounded to the nearest ns, the standard deviation down.
    """
    ranked = sorted(samples)
    if not ranked:
        return None
    count = len(ranked)
    return Summary(
        count=count,
        min_ns=ranked[0],
        mean_ns=_divide(sum(ranked), count),
        median_ns=_divide(ranked[(count - 1) // 2] + ranked[count // 2], 2),
        p90_ns=nearest_rank(ranked, 900),
        p99_ns=nearest_rank(ranked, 990),
        p99_9_ns=nearest_rank(ranked, 999),
        max_ns=ranked[-1],
        stddev_ns=_standard_deviation(ranked),
    )


def nearest_rank(ranked: Sequence[int], per_mille: int) -> int:
    """Return the percentile of `ranked` (ascending, not empty), 1 to 1000 per mille of it.

    RFC 2330 s. 11.3: the smallest x with F(x) >= y, F being the empirical distribution function.
    """
    return ranked[-(-len(ranked) * per_mille // 1000) - 1]


def _standard_deviation(ranked: Sequence[int]) -> int:
    # One-way delays contain the clock offset, which may be years: taken from the smallest sample,
    # the squares stay small. Integers, because the textbook form cancels badly in floats.
    lowest = ranked[0]
    above = [sample - lowest for sample in ranked]
    count = len(above)
    return isqrt(count * sum(map(mul, above, above)) - sum(above) ** 2) // count


def _divide(total: int, count: int) -> int:
    return (2 * total + count) // (2 * count)
