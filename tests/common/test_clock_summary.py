import statistics
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.clock.summary import Summary, nearest_rank, summarize

SAMPLES = st.lists(st.integers(-(10**18), 10**18), min_size=1, max_size=200)


def test_a_row_worked_out_by_hand() -> None:
    assert summarize([5_000, 1_000, 3_000, 2_000, 4_000]) == Summary(
        count=5,
        min_ns=1_000,
        mean_ns=3_000,
        median_ns=3_000,
        p90_ns=5_000,
        p99_ns=5_000,
        p99_9_ns=5_000,
        max_ns=5_000,
        stddev_ns=1_414,  # the square root of (4 + 1 + 0 + 1 + 4) / 5 is 1.4142
    )


def test_no_samples_make_no_row() -> None:
    assert summarize([]) is None


def test_percentiles_of_a_thousand_are_the_ranks_themselves() -> None:
    row = summarize(range(1, 1_001))
    assert row
    assert (row.p90_ns, row.p99_ns, row.p99_9_ns) == (900, 990, 999)


def test_the_median_of_an_even_count_is_between_the_two_in_the_middle() -> None:
    row = summarize([10, 20, 30, 1_000])
    assert row
    assert row.median_ns == 25


def test_years_of_clock_offset_leave_the_standard_deviation_as_it_is() -> None:
    jitter = [3, 1, 4, 1, 5, 9, 2, 6]
    near, far = summarize(jitter), summarize(sample + 10**18 for sample in jitter)
    assert near
    assert far
    assert far.stddev_ns == near.stddev_ns
    assert far.mean_ns == 10**18 + near.mean_ns


@given(SAMPLES)
def test_a_row_agrees_with_the_statistics_of_the_standard_library(samples: list[int]) -> None:
    row = summarize(samples)
    assert row
    exact = [Fraction(sample) for sample in samples]
    assert abs(row.mean_ns - statistics.mean(exact)) <= Fraction(1, 2)
    assert abs(row.median_ns - statistics.median(exact)) <= Fraction(1, 2)
    variance = statistics.pvariance(exact)
    assert row.stddev_ns**2 <= variance < (row.stddev_ns + 1) ** 2
    assert (row.count, row.min_ns, row.max_ns) == (len(samples), min(samples), max(samples))


@given(SAMPLES, st.integers(1, 1_000))
def test_a_percentile_is_the_smallest_sample_that_enough_do_not_exceed(
    samples: list[int], per_mille: int
) -> None:
    def enough(candidate: int) -> bool:
        return sum(sample <= candidate for sample in samples) * 1_000 >= len(samples) * per_mille

    assert nearest_rank(sorted(samples), per_mille) == min(filter(enough, samples))


@pytest.mark.parametrize("per_mille", [1, 500, 999, 1_000])
def test_one_sample_is_every_percentile(per_mille: int) -> None:
    assert nearest_rank([7], per_mille) == 7
