"""How steady one clock is against another over spans of time."""

from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from typing import Final

from msgspec import Struct

TAUS_NS: Final = (10_000_000, 100_000_000, 1_000_000_000, 10_000_000_000)
"""The spans that are reported unless others are asked for: 0.01, 0.1, 1 and 10 s."""


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
    """Return the Allan deviation for each of `taus_ns` (ns) that `phases` can tell.

    A span is taken in whole intervals, cut where it is none, and left out when it is shorter than
    one interval or longer than a quarter of the run: two differences that share no offset are the
    least to average. Offsets from stamps contain the jitter of their delays, which falls with
    1 / tau (white phase noise); the clocks themselves show where the curve leaves that slope.
    """
    factors = {tau_ns // interval_ns: None for tau_ns in taus_ns}
    return tuple(
        Stability(factor * interval_ns, allan_deviation(phases, interval_ns, factor))
        for factor in factors
        if 0 < 4 * factor < len(phases)
    )


def longest_run(series: Mapping[int, int]) -> list[int]:
    """Return the values of the longest run of consecutive numbers in `series`.

    The Allan deviation needs evenly spaced offsets, and a lost connection leaves a hole.
    """
    longest: list[int] = []
    stretch: list[int] = []
    for number in sorted(series):
        if number - 1 not in series:
            stretch = []
        stretch.append(series[number])
        if len(stretch) > len(longest):
            longest = stretch
    return longest
