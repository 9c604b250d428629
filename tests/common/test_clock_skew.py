from collections.abc import Iterable
from fractions import Fraction
from itertools import combinations, pairwise

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from common.clock.skew import Point, floor_slope, lower_hull, skew

POINTS = st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), max_size=12)


def height(points: list[Point], slope: Fraction) -> Fraction:
    """The sum of the distances from `points` down to the highest line of `slope` below them all."""
    above = [y - slope * x for x, y in points]
    return sum(above, start=Fraction(0)) - len(points) * min(above)


def test_waiting_above_a_tilted_floor_does_not_change_its_slope() -> None:
    floor = [(x, 500 + 3 * x) for x in range(0, 100, 10)]
    waiting = [(x, 500 + 3 * x + x**2) for x in range(5, 100, 10)]
    assert floor_slope(floor + waiting) == 3.0


def test_the_edge_of_the_hull_that_spans_the_mean_time_is_the_floor() -> None:
    valley = [(0, 10), (1, 0), (9, 0), (10, 20)]
    assert floor_slope(valley) == 0.0
    assert floor_slope([*valley, *[(10, 99)] * 100]) == 20.0
    assert floor_slope([*valley, *[(0, 99)] * 100]) == -10.0


@pytest.mark.parametrize("points", [[], [(5, 1)], [(5, 1), (5, 2), (5, 0)]])
def test_less_than_two_moments_make_no_floor(points: list[Point]) -> None:
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


def test_a_clock_that_gains_raises_one_floor_and_lowers_the_other() -> None:
    found = skew(line(40), line(-40))
    assert found
    assert (found.ppm, found.spread_ppm) == pytest.approx((40, 0))


def test_a_way_that_gets_slower_in_both_directions_is_no_skew_but_spread() -> None:
    found = skew(line(40 + 7), line(-40 + 7))
    assert found
    assert (found.ppm, found.spread_ppm) == pytest.approx((40, 7))


def test_one_way_alone_tells_no_skew() -> None:
    assert skew(line(40), []) is None
    assert skew([], line(40)) is None
