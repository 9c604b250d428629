"""The kernel's timer on the real clock.

How punctual it is depends on the machine. So the tests only say that nothing comes early.
"""

import select
import time
from collections.abc import Iterator

import pytest

from common.system.timerfd import TimerFD

MS = 1_000_000
TIMEOUT = 60.0


@pytest.fixture
def timer() -> Iterator[TimerFD]:
    made = TimerFD()
    yield made
    made.close()


def expires(timer: TimerFD, within: float) -> bool:
    return bool(select.select([timer], [], [], within)[0])


def test_a_timer_expires_at_its_moment_and_never_earlier(timer: TimerFD) -> None:
    for _ in range(20):
        due = time.monotonic_ns() + 2 * MS
        timer.set(due)
        assert expires(timer, TIMEOUT)
        assert time.monotonic_ns() >= due


def test_a_moment_that_has_passed_expires_at_once(timer: TimerFD) -> None:
    timer.set(time.monotonic_ns() - 1_000 * MS)
    assert expires(timer, TIMEOUT)


def test_a_timer_is_off_until_it_is_set_and_after_it_was_turned_off(timer: TimerFD) -> None:
    assert not expires(timer, 0)
    timer.set(time.monotonic_ns() + 1 * MS)
    timer.off()
    assert not expires(timer, 0.01)


def test_setting_a_timer_again_silences_it_until_then(timer: TimerFD) -> None:
    timer.set(time.monotonic_ns())
    assert expires(timer, TIMEOUT)
    timer.set(time.monotonic_ns() + 3_600_000 * MS)
    assert not expires(timer, 0)


def test_a_closed_timer_cannot_be_set() -> None:
    closed = TimerFD()
    closed.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        closed.set(1)
