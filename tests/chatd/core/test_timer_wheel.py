"""The wheel on a clock that a test moves."""

import logging
import random
from math import inf

import pytest

from chatd.core.timer_wheel import TICKS, TimerWheel
from tests.support.fake_time import FakeTime


class RecordingEntry:
    """Notes when it fires, or fails to."""

    def __init__(
        self, time: FakeTime, fired: list["RecordingEntry"], *, fails: bool = False
    ) -> None:
        self.fired_at: float | None = None
        self._time = time
        self._fired = fired
        self._fails = fails

    def on_timer(self) -> None:
        if self._fails:
            raise ZeroDivisionError("a bad entry")
        self.fired_at = self._time.now
        self._fired.append(self)


class WheelHarness:
    """A wheel and what it has fired, in order."""

    def __init__(self) -> None:
        self.time = FakeTime()
        self.wheel = TimerWheel(self.time.monotonic, self.time.set_timer)
        self.fired: list[RecordingEntry] = []

    def put(self, delay: float, *, fails: bool = False) -> RecordingEntry:
        """Put an entry on the wheel that is due in `delay` s."""
        entry = RecordingEntry(self.time, self.fired, fails=fails)
        self.wheel.add(self.wheel.tick_in(delay), entry)
        return entry


@pytest.fixture
def harness() -> WheelHarness:
    return WheelHarness()


def test_entries_fire_in_the_order_in_which_they_are_due(harness: WheelHarness) -> None:
    third, first, second = harness.put(0.3), harness.put(0.1), harness.put(0.2)
    harness.time.advance(1.0)
    assert harness.fired == [first, second, third]


def test_entries_of_one_millisecond_fire_in_the_order_in_which_they_came(
    harness: WheelHarness,
) -> None:
    entries = [harness.put(0.5) for _ in range(100)]
    harness.time.advance(1.0)
    assert harness.fired == entries


def test_an_entry_fires_at_its_time_or_a_millisecond_later_but_never_earlier(
    harness: WheelHarness,
) -> None:
    draw = random.Random(1)
    for _ in range(1_000):
        delay = draw.uniform(0, 5)
        due = harness.time.now + delay
        entry = harness.put(delay)
        harness.time.advance(6.0)
        assert entry.fired_at is not None
        # A clock in floats of about 1e4 s is itself off by up to 1e-12 s.
        assert -1e-9 <= entry.fired_at - due <= 1 / TICKS + 1e-9


def test_nothing_fires_before_its_time(harness: WheelHarness) -> None:
    harness.put(0.25)
    harness.time.advance(0.249)
    assert harness.fired == []
    harness.time.advance(0.002)
    assert len(harness.fired) == 1


def test_a_timer_of_the_loop_that_comes_early_fires_nothing_and_is_armed_again(
    harness: WheelHarness,
) -> None:
    entry = harness.put(0.25)
    early = harness.time.timers[0]
    harness.time.now += (
        0.2497  # a loop that rounds to its resolution may come half of that too soon
    )
    early.cancel()
    early.call()
    assert harness.fired == []
    harness.time.advance(0.002)
    assert harness.fired == [entry]


def test_a_busy_loop_fires_all_that_is_late_at_once_and_in_order(harness: WheelHarness) -> None:
    entries = [harness.put(delay) for delay in (0.1, 0.2, 0.3, 0.9)]
    harness.time.stall(0.5)
    assert harness.fired == entries[:3]
    harness.time.advance(0.5)
    assert harness.fired == entries


def test_whoever_holds_up_the_loop_may_advance_the_wheel_before_the_timer_does(
    harness: WheelHarness,
) -> None:
    entries = [harness.put(delay) for delay in (0.1, 0.2, 0.3)]
    harness.time.now += 0.2
    assert harness.wheel.next_deadline <= harness.time.now
    harness.wheel.advance()
    assert harness.fired == entries[:2]
    assert harness.wheel.next_deadline > harness.time.now
    harness.time.advance(0.1)
    assert harness.fired == entries


def test_a_wheel_that_is_advanced_again_and_again_leaves_the_loop_to_others(
    harness: WheelHarness,
) -> None:
    entries = [harness.put(delay / 1_000) for delay in range(1, 100)]
    while harness.wheel.next_deadline < inf:
        harness.time.now += 0.001
        harness.wheel.advance()
    assert 20 <= len(harness.fired) <= 22
    harness.time.stall(0.001)  # now the loop has come round, and the timer goes off
    assert harness.wheel.next_deadline < inf
    harness.time.advance(1.0)
    assert harness.fired == entries


def test_nothing_is_due_on_a_wheel_that_is_empty(harness: WheelHarness) -> None:
    assert harness.wheel.next_deadline == inf
    harness.put(0.1)
    harness.time.advance(1.0)
    assert harness.wheel.next_deadline == inf


def test_what_entries_have_to_say_is_flushed_behind_all_of_a_loop_iteration() -> None:
    time, fired = FakeTime(), list[RecordingEntry]()
    flushed = list[int]()
    wheel = TimerWheel(time.monotonic, time.set_timer, lambda: flushed.append(len(fired)))
    for delay in (0.1, 0.1, 0.2):
        wheel.add(wheel.tick_in(delay), RecordingEntry(time, fired))
    time.advance(0.1)
    assert flushed == [2]
    time.advance(0.1)
    assert flushed == [2, 3]


def test_entries_that_an_entry_adds_set_the_timer_but_once(harness: WheelHarness) -> None:
    timers = list[float]()

    class Renewed(RecordingEntry):
        def on_timer(self) -> None:
            super().on_timer()
            for delay in (0.5, 0.4, 0.3):
                wheel.add(wheel.tick_in(delay), self)

    wheel = TimerWheel(harness.time.monotonic, lambda at, _call: timers.append(at))
    wheel.add(wheel.tick_in(0.1), Renewed(harness.time, []))
    harness.time.now += 0.1
    timers.clear()
    wheel.advance()
    assert timers == [pytest.approx(harness.time.now + 0.3)]


def test_an_entry_that_fails_is_logged_and_holds_up_no_other(
    harness: WheelHarness, caplog: pytest.LogCaptureFixture
) -> None:
    before, _, after, later = (
        harness.put(0.1), harness.put(0.1, fails=True), harness.put(0.1), harness.put(0.2)
    )  # fmt: skip
    with caplog.at_level(logging.ERROR):
        harness.time.advance(1.0)
    assert harness.fired == [before, after, later]
    assert "ZeroDivisionError: a bad entry" in caplog.text


def test_one_timer_of_the_loop_serves_all_entries(harness: WheelHarness) -> None:
    for delay in range(1, 1_000):
        harness.put(delay / 100)
    assert len(harness.time.timers) == 1


def test_an_earlier_entry_that_comes_later_moves_the_timer(harness: WheelHarness) -> None:
    late = harness.put(5.0)
    early = harness.put(0.1)
    harness.time.advance(0.2)
    assert harness.fired == [early]
    harness.time.advance(5.0)
    assert harness.fired == [early, late]


def test_a_wheel_that_ran_empty_runs_again(harness: WheelHarness) -> None:
    first = harness.put(0.1)
    harness.time.advance(1.0)
    assert not harness.time.timers
    second = harness.put(0.1)
    harness.time.advance(1.0)
    assert harness.fired == [first, second]


def test_what_is_put_on_while_others_fire_fires_in_its_turn(harness: WheelHarness) -> None:
    again: list[RecordingEntry] = []

    class Repeating(RecordingEntry):
        def on_timer(self) -> None:
            super().on_timer()
            again.append(harness.put(0.1))

    harness.wheel.add(harness.wheel.tick_in(0.1), Repeating(harness.time, harness.fired))
    harness.time.advance(0.15)
    assert len(harness.fired) == 1
    harness.time.advance(0.1)
    assert harness.fired[1:] == again


def test_what_was_removed_does_not_fire_and_its_neighbours_do(harness: WheelHarness) -> None:
    tick = harness.wheel.tick_in(0.1)
    gone, stays = (RecordingEntry(harness.time, harness.fired) for _ in range(2))
    for entry in (gone, stays):
        harness.wheel.add(tick, entry)
    harness.wheel.remove([(tick, gone)])
    assert len(harness.wheel) == 1
    harness.time.advance(1.0)
    assert harness.fired == [stays]


def test_removing_all_leaves_nothing_behind(harness: WheelHarness) -> None:
    entries = []
    for number in range(1_000):
        tick, entry = (
            harness.wheel.tick_in(number / 1_000),
            RecordingEntry(harness.time, harness.fired),
        )
        harness.wheel.add(tick, entry)
        entries.append((tick, entry))
    assert len(harness.wheel) == 1_000
    harness.wheel.remove(entries)
    assert len(harness.wheel) == 0
    harness.time.advance(2.0)
    assert harness.fired == []
    assert not harness.time.timers


def test_removing_what_has_fired_does_no_harm(harness: WheelHarness) -> None:
    tick, entry = harness.wheel.tick_in(0.1), RecordingEntry(harness.time, harness.fired)
    harness.wheel.add(tick, entry)
    harness.time.advance(1.0)
    harness.wheel.remove([(tick, entry)])
    assert harness.fired == [entry]


def test_a_millisecond_that_was_emptied_takes_entries_again(harness: WheelHarness) -> None:
    tick, gone = harness.wheel.tick_in(0.1), RecordingEntry(harness.time, harness.fired)
    harness.wheel.add(tick, gone)
    harness.wheel.remove([(tick, gone)])
    comes = RecordingEntry(harness.time, harness.fired)
    harness.wheel.add(tick, comes)
    harness.time.advance(1.0)
    assert harness.fired == [comes]


def test_now_has_reached_every_tick_whose_time_has_come() -> None:
    for tick in range(1, 200_000, 7):
        time = FakeTime(start=tick / TICKS)
        assert TimerWheel(time.monotonic, time.set_timer).now() == tick
