"""The kernel's timer on the real clock; how punctual it is depends on the machine, so only ever
that nothing comes early."""

import select
import time
from collections.abc import Iterator

import pytest

from common.system.timerfd import Alarm

MS = 1_000_000
TIMEOUT = 60.0


@pytest.fixture
def alarm() -> Iterator[Alarm]:
    made = Alarm()
    yield made
    made.close()


def goes_off(alarm: Alarm, within: float) -> bool:
    return bool(select.select([alarm], [], [], within)[0])


def test_an_alarm_goes_off_at_its_moment_and_never_earlier(alarm: Alarm) -> None:
    for _ in range(20):
        due = time.monotonic_ns() + 2 * MS
        alarm.set(due)
        assert goes_off(alarm, TIMEOUT)
        assert time.monotonic_ns() >= due


def test_a_moment_that_has_passed_sets_it_off_at_once(alarm: Alarm) -> None:
    alarm.set(time.monotonic_ns() - 1_000 * MS)
    assert goes_off(alarm, TIMEOUT)


def test_it_stays_off_until_it_is_set_and_after_it_was_turned_off(alarm: Alarm) -> None:
    assert not goes_off(alarm, 0)
    alarm.set(time.monotonic_ns() + 1 * MS)
    alarm.off()
    assert not goes_off(alarm, 0.01)


def test_to_set_it_anew_silences_it_until_then(alarm: Alarm) -> None:
    alarm.set(time.monotonic_ns())
    assert goes_off(alarm, TIMEOUT)
    alarm.set(time.monotonic_ns() + 3_600_000 * MS)
    assert not goes_off(alarm, 0)


def test_an_alarm_that_was_closed_says_so() -> None:
    closed = Alarm()
    closed.close()
    with pytest.raises(OSError, match="timerfd_settime failed"):
        closed.set(1)
