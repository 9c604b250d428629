"""Exponential backoff with full jitter."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatctl.backoff import Backoff


class HighestRandom(random.Random):
    """Always draws the upper end."""

    def uniform(self, a: float, b: float) -> float:
        return b


class LowestRandom(random.Random):
    """Always draws the lower end."""

    def uniform(self, a: float, b: float) -> float:
        return a


def test_the_longest_wait_doubles_up_to_the_cap() -> None:
    backoff = Backoff(base=0.25, cap=3.0, rng=HighestRandom())

    assert [backoff.next_delay() for _ in range(6)] == [0.25, 0.5, 1.0, 2.0, 3.0, 3.0]


def test_the_jitter_is_full_so_that_any_wait_may_be_none_at_all() -> None:
    backoff = Backoff(rng=LowestRandom())

    assert [backoff.next_delay() for _ in range(6)] == [0.0] * 6


def test_it_starts_over_when_reset() -> None:
    backoff = Backoff(base=1.0, cap=60.0, rng=HighestRandom())
    waits = [backoff.next_delay(), backoff.next_delay()]

    backoff.reset()

    assert [*waits, backoff.next_delay()] == [1.0, 2.0, 1.0]
    assert backoff.attempts == 1


@pytest.mark.parametrize("attempts", [2_000])
def test_it_can_go_on_for_ever(attempts: int) -> None:
    backoff = Backoff(rng=HighestRandom())

    assert max(backoff.next_delay() for _ in range(attempts)) == 15.0


@given(st.integers(), st.integers(0, 80))
def test_no_wait_leaves_its_bounds(seed: int, attempts: int) -> None:
    backoff = Backoff(base=0.5, cap=10.0, rng=random.Random(seed))

    for attempt in range(attempts):
        assert 0.0 <= backoff.next_delay() <= min(10.0, 0.5 * 2.0**attempt)
