"""Rates of a counter, on a clock that stands in the samples."""

import pytest

from chatctl.sharing.meter import RateMeter


def fed(*samples: tuple[float, int]) -> RateMeter:
    meter = RateMeter(0.0)
    for now, count in samples:
        meter.sample(now, count)
    return meter


def test_the_rate_is_that_of_the_last_second() -> None:
    meter = fed((0.5, 100), (1.0, 200), (1.5, 400), (2.0, 800))
    assert meter.rate == pytest.approx(600)


def test_the_best_second_is_kept() -> None:
    meter = fed((1.0, 100), (2.0, 900), (3.0, 1000), (4.0, 1000))
    assert meter.best == pytest.approx(800)


def test_idle_time_before_the_first_byte_does_not_count() -> None:
    meter = fed((10.0, 0), (10.1, 50), (10.2, 100))
    assert meter.best == meter.rate == pytest.approx(500)


def test_what_took_less_than_a_second_has_the_rate_of_its_time() -> None:
    meter = fed((0.1, 0), (0.2, 30), (0.3, 60), (0.4, 60), (5.0, 60))
    assert meter.best == pytest.approx(300)
    assert meter.rate == 0


def test_the_rate_of_a_short_beginning_gives_way_to_that_of_a_whole_second() -> None:
    meter = fed((0.1, 1000), (0.5, 1100))
    assert meter.best == pytest.approx(2200)
    meter = fed((0.1, 1000), (0.5, 1100), (1.0, 1200), (1.6, 1300))
    assert meter.best == pytest.approx(1200)


def test_nothing_at_all_has_no_rate() -> None:
    meter = fed((1.0, 0), (2.0, 0))
    assert meter.best == meter.rate == RateMeter(0.0).rate == 0
