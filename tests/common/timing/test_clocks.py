import random
from collections.abc import Iterable
from fractions import Fraction
from itertools import accumulate, combinations, pairwise
from math import sqrt

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from common.timing.clocks import (
    Point,
    Stability,
    allan_deviation,
    floor_slope,
    longest_run,
    lower_hull,
    skew,
    stabilities,
)

POINTS = st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), max_size=12)


def height(points: list[Point], slope: Fraction) -> Fraction:
    """The sum of the distances from `points` down to the highest line of `slope` below them all."""
    above = [y - slope * x for x, y in points]
    return sum(above, start=Fraction(0)) - len(points) * min(above)


def test_queueing_does_not_change_the_slope_of_the_minimum_delay() -> None:
    floor = [(x, 500 + 3 * x) for x in range(0, 100, 10)]
    waiting = [(x, 500 + 3 * x + x**2) for x in range(5, 100, 10)]
    assert floor_slope(floor + waiting) == 3.0


def test_the_slope_is_that_of_the_hull_above_the_mean_time() -> None:
    valley = [(0, 10), (1, 0), (9, 0), (10, 20)]
    assert floor_slope(valley) == 0.0
    assert floor_slope([*valley, *[(10, 99)] * 100]) == 20.0
    assert floor_slope([*valley, *[(0, 99)] * 100]) == -10.0


@pytest.mark.parametrize("points", [[], [(5, 1)], [(5, 1), (5, 2), (5, 0)]])
def test_fewer_than_two_moments_have_no_slope(points: list[Point]) -> None:
    assert floor_slope(points) is None


@given(POINTS)
def test_no_line_below_all_points_is_nearer_to_them(points: list[Point]) -> None:
    slope = floor_slope(points)
    assume(slope is not None)
    rivals = [
        height(points, Fraction(y1 - y0, x1 - x0))
        for (x0, y0), (x1, y1) in combinations(points, 2)
        if x0 != x1
    ]
    assert slope is not None
    found = height(points, Fraction(slope).limit_denominator(100))
    assert found == min(rivals)


@given(POINTS)
@example([(0, 0), (1, 1), (2, 2)])
def test_the_hull_turns_left_below_all_points(points: list[Point]) -> None:
    hull = lower_hull(sorted(points))
    assert set(hull) <= set(points)
    slopes = [Fraction(y1 - y0, x1 - x0) for (x0, y0), (x1, y1) in pairwise(hull)]
    assert all(earlier < later for earlier, later in pairwise(slopes))
    for (x0, y0), slope in zip(hull, slopes, strict=False):
        assert all(y >= y0 + slope * (x - x0) for x, y in points)


def line(slope_ppm: int, times: Iterable[int] = range(0, 10**9, 10**7)) -> list[Point]:
    return [(time, 10**6 + time * slope_ppm // 10**6) for time in times]


def test_skew_raises_one_minimum_and_lowers_the_other() -> None:
    found = skew(line(40), line(-40))
    assert found
    assert (found.ppm, found.spread_ppm) == pytest.approx((40, 0))


def test_a_path_that_gets_slower_both_ways_is_spread_and_no_skew() -> None:
    found = skew(line(40 + 7), line(-40 + 7))
    assert found
    assert (found.ppm, found.spread_ppm) == pytest.approx((40, 7))


def test_one_direction_alone_yields_no_skew() -> None:
    assert skew(line(40), []) is None
    assert skew([], line(40)) is None


MS = 1_000_000
PHASES = st.lists(st.integers(-(10**15), 10**15), min_size=9, max_size=60)


@pytest.mark.parametrize(("factor", "deviation"), [(1, 91.22945), (2, 85.95287)])
def test_the_nine_frequencies_of_nist_sp_1065_table_30(factor: int, deviation: float) -> None:
    frequencies = [892, 809, 823, 798, 671, 644, 883, 903, 677]
    phases = list(accumulate(frequencies, initial=0))
    assert allan_deviation(phases, 1, factor) == pytest.approx(deviation, rel=1e-6)


@pytest.mark.parametrize(
    ("factor", "deviation"), [(1, 2.922319e-01), (10, 9.159953e-02), (100, 3.241343e-02)]
)
def test_the_thousand_frequencies_of_nist_sp_1065_table_31(factor: int, deviation: float) -> None:
    frequencies = [1_234_567_890]
    while len(frequencies) < 1_000:
        frequencies.append(16_807 * frequencies[-1] % 2_147_483_647)
    phases = list(accumulate(frequencies, initial=0))
    assert allan_deviation(phases, 2_147_483_647, factor) == pytest.approx(deviation, rel=5e-7)


@given(PHASES, st.integers(-(10**6), 10**6), st.integers(-(10**15), 10**15))
def test_a_constant_offset_and_a_constant_skew_are_perfectly_stable(
    phases: list[int], skew: int, offset: int
) -> None:
    tilted = [phase + skew * i + offset for i, phase in enumerate(phases)]
    assert allan_deviation(tilted, MS, 4) == allan_deviation(phases, MS, 4)


@pytest.mark.parametrize("factor", [1, 3, 10])
def test_a_steady_change_of_rate_shows_in_proportion_to_the_span(factor: int) -> None:
    # x = k i^2 has second differences of 2 k m^2, so the deviation is sqrt(2) k m / interval.
    phases = [5 * i * i for i in range(100)]
    assert allan_deviation(phases, 1_000, factor) == pytest.approx(sqrt(2) * 5 * factor / 1_000)


def test_white_phase_noise_averages_out_with_the_span() -> None:
    # Three independent readings in a second difference: sqrt(1 + 4 + 1) / sqrt(2) = sqrt(3).
    noise = random.Random(5905)
    phases = [round(noise.gauss(0, 50_000)) for _ in range(10_000)]
    for factor in (1, 10, 100):
        expected = sqrt(3) * 50_000 / (factor * 10 * MS)
        assert allan_deviation(phases, 10 * MS, factor) == pytest.approx(expected, rel=0.05)


def test_two_spans_need_one_offset_more_than_they_have_intervals() -> None:
    assert allan_deviation([0, 1, 0], 1, 1) == sqrt(2)
    with pytest.raises(ValueError, match="over 1 intervals needs 3 offsets or more, not 2"):
        allan_deviation([0, 1], 1, 1)


def test_only_spans_between_one_interval_and_a_quarter_of_the_run_are_reported() -> None:
    assert [point.tau_ns for point in stabilities(range(401), 10 * MS)] == [
        10 * MS,
        100 * MS,
        1_000 * MS,
    ]
    assert [point.tau_ns for point in stabilities(range(400), 10 * MS)] == [10 * MS, 100 * MS]
    assert [point.tau_ns for point in stabilities(range(401), 100 * MS)] == [
        100 * MS,
        1_000 * MS,
        10_000 * MS,
    ]
    assert stabilities([], 10 * MS) == ()


def test_a_span_is_rounded_down_to_whole_intervals_and_reported_once() -> None:
    assert stabilities([0] * 10, 30 * MS, [65 * MS, 70 * MS]) == (Stability(60 * MS, 0.0),)


def test_the_longest_run_has_no_gap() -> None:
    assert longest_run({1: 10, 2: 20, 4: 40, 5: 50, 6: 60, 9: 90}) == [40, 50, 60]
    assert longest_run({3: 30, 1: 10, 2: 20}) == [10, 20, 30]
    assert longest_run({}) == []
