"""The wheel on a clock that a test moves."""

import logging
import random
from math import inf

import pytest

from chatd.wheel import TICKS, TimerWheel
from tests.chatd.fake_time import FakeTime


class Entry:
    """Notes when it fires, or fails to."""

    def __init__(self, time: FakeTime, fired: list["Entry"], *, fails: bool = False) -> None:
        self.fired_at: float | None = None
        self._time = time
        self._fired = fired
        self._fails = fails

    def on_timer(self) -> None:
        if self._fails:
            raise ZeroDivisionError("a bad entry")
        self.fired_at = self._time.now
        self._fired.append(self)


class Bench:
    """A wheel and what it has fired, in order."""

    def __init__(self) -> None:
        self.time = FakeTime()
        self.wheel = TimerWheel(self.time.monotonic, self.time.set_timer)
        self.fired: list[Entry] = []

    def put(self, delay: float, *, fails: bool = False) -> Entry:
        """Put an entry on the wheel that is due in `delay` s."""
        entry = Entry(self.time, self.fired, fails=fails)
        self.wheel.add(self.wheel.tick_in(delay), entry)
        return entry


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_entries_fire_in_the_order_in_which_they_are_due(bench: Bench) -> None:
    third, first, second = bench.put(0.3), bench.put(0.1), bench.put(0.2)
    bench.time.advance(1.0)
    assert bench.fired == [first, second, third]


def test_entries_of_one_millisecond_fire_in_the_order_in_which_they_came(bench: Bench) -> None:
    entries = [bench.put(0.5) for _ in range(100)]
    bench.time.advance(1.0)
    assert bench.fired == entries


def test_an_entry_fires_at_its_time_or_a_millisecond_later_but_never_earlier(bench: Bench) -> None:
    draw = random.Random(1)
    for _ in range(1_000):
        delay = draw.uniform(0, 5)
        due = bench.time.now + delay
        entry = bench.put(delay)
        bench.time.advance(6.0)
        assert entry.fired_at is not None
        # A clock in floats of about 1e4 s is itself off by up to 1e-12 s.
        assert -1e-9 <= entry.fired_at - due <= 1 / TICKS + 1e-9


def test_nothing_fires_before_its_time(bench: Bench) -> None:
    bench.put(0.25)
    bench.time.advance(0.249)
    assert bench.fired == []
    bench.time.advance(0.002)
    assert len(bench.fired) == 1


def test_a_timer_of_the_loop_that_comes_early_fires_nothing_and_is_armed_again(
    bench: Bench,
) -> None:
    entry = bench.put(0.25)
    early = bench.time.timers[0]
    bench.time.now += 0.2497  # a loop that rounds to its resolution may come half of that too soon
    early.cancel()
    early.call()
    assert bench.fired == []
    bench.time.advance(0.002)
    assert bench.fired == [entry]


def test_a_busy_loop_fires_all_that_is_late_at_once_and_in_order(bench: Bench) -> None:
    entries = [bench.put(delay) for delay in (0.1, 0.2, 0.3, 0.9)]
    bench.time.stall(0.5)
    assert bench.fired == entries[:3]
    bench.time.advance(0.5)
    assert bench.fired == entries


def test_whoever_holds_up_the_loop_may_turn_the_wheel_before_the_timer_does(bench: Bench) -> None:
    entries = [bench.put(delay) for delay in (0.1, 0.2, 0.3)]
    bench.time.now += 0.2
    assert bench.wheel.next_deadline <= bench.time.now
    bench.wheel.advance()
    assert bench.fired == entries[:2]
    assert bench.wheel.next_deadline > bench.time.now
    bench.time.advance(0.1)
    assert bench.fired == entries


def test_a_wheel_that_is_turned_again_and_again_leaves_the_loop_to_others(bench: Bench) -> None:
    entries = [bench.put(delay / 1_000) for delay in range(1, 100)]
    while bench.wheel.next_deadline < inf:
        bench.time.now += 0.001
        bench.wheel.advance()
    assert 20 <= len(bench.fired) <= 22
    bench.time.stall(0.001)  # now the loop has come round, and the timer goes off
    assert bench.wheel.next_deadline < inf
    bench.time.advance(1.0)
    assert bench.fired == entries


def test_nothing_is_due_on_a_wheel_that_is_empty(bench: Bench) -> None:
    assert bench.wheel.next_deadline == inf
    bench.put(0.1)
    bench.time.advance(1.0)
    assert bench.wheel.next_deadline == inf


def test_what_entries_have_to_say_is_flushed_behind_all_of_a_turn() -> None:
    time, fired = FakeTime(), list[Entry]()
    flushed = list[int]()
    wheel = TimerWheel(time.monotonic, time.set_timer, lambda: flushed.append(len(fired)))
    for delay in (0.1, 0.1, 0.2):
        wheel.add(wheel.tick_in(delay), Entry(time, fired))
    time.advance(0.1)
    assert flushed == [2]
    time.advance(0.1)
    assert flushed == [2, 3]


def test_entries_that_an_entry_adds_set_the_timer_but_once(bench: Bench) -> None:
    alarms = list[float]()

    class Renewed(Entry):
        def on_timer(self) -> None:
            super().on_timer()
            for delay in (0.5, 0.4, 0.3):
                wheel.add(wheel.tick_in(delay), self)

    wheel = TimerWheel(bench.time.monotonic, lambda at, _call: alarms.append(at))
    wheel.add(wheel.tick_in(0.1), Renewed(bench.time, []))
    bench.time.now += 0.1
    alarms.clear()
    wheel.advance()
    assert alarms == [pytest.approx(bench.time.now + 0.3)]


def test_an_entry_that_fails_is_logged_and_holds_up_no_other(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    before, _, after, later = (
        bench.put(0.1), bench.put(0.1, fails=True), bench.put(0.1), bench.put(0.2)
    )  # fmt: skip
    with caplog.at_level(logging.ERROR):
        bench.time.advance(1.0)
    assert bench.fired == [before, after, later]
    assert "ZeroDivisionError: a bad entry" in caplog.text


def test_one_timer_of_the_loop_serves_all_entries(bench: Bench) -> None:
    for delay in range(1, 1_000):
        bench.put(delay / 100)
    assert len(bench.time.timers) == 1


def test_an_earlier_entry_that_comes_later_moves_the_timer(bench: Bench) -> None:
    late = bench.put(5.0)
    early = bench.put(0.1)
    bench.time.advance(0.2)
    assert bench.fired == [early]
    bench.time.advance(5.0)
    assert bench.fired == [early, late]


def test_a_wheel_that_ran_empty_runs_again(bench: Bench) -> None:
    first = bench.put(0.1)
    bench.time.advance(1.0)
    assert not bench.time.timers
    second = bench.put(0.1)
    bench.time.advance(1.0)
    assert bench.fired == [first, second]


def test_what_is_put_on_while_others_fire_fires_in_its_turn(bench: Bench) -> None:
    again: list[Entry] = []

    class Repeating(Entry):
        def on_timer(self) -> None:
            super().on_timer()
            again.append(bench.put(0.1))

    bench.wheel.add(bench.wheel.tick_in(0.1), Repeating(bench.time, bench.fired))
    bench.time.advance(0.15)
    assert len(bench.fired) == 1
    bench.time.advance(0.1)
    assert bench.fired[1:] == again


def test_what_was_removed_does_not_fire_and_its_neighbours_do(bench: Bench) -> None:
    tick = bench.wheel.tick_in(0.1)
    gone, stays = (Entry(bench.time, bench.fired) for _ in range(2))
    for entry in (gone, stays):
        bench.wheel.add(tick, entry)
    bench.wheel.remove([(tick, gone)])
    assert len(bench.wheel) == 1
    bench.time.advance(1.0)
    assert bench.fired == [stays]


def test_removing_all_leaves_nothing_behind(bench: Bench) -> None:
    entries = []
    for number in range(1_000):
        tick, entry = bench.wheel.tick_in(number / 1_000), Entry(bench.time, bench.fired)
        bench.wheel.add(tick, entry)
        entries.append((tick, entry))
    assert len(bench.wheel) == 1_000
    bench.wheel.remove(entries)
    assert len(bench.wheel) == 0
    bench.time.advance(2.0)
    assert bench.fired == []
    assert not bench.time.timers


def test_removing_what_has_fired_does_no_harm(bench: Bench) -> None:
    tick, entry = bench.wheel.tick_in(0.1), Entry(bench.time, bench.fired)
    bench.wheel.add(tick, entry)
    bench.time.advance(1.0)
    bench.wheel.remove([(tick, entry)])
    assert bench.fired == [entry]


def test_a_millisecond_that_was_emptied_takes_entries_again(bench: Bench) -> None:
    tick, gone = bench.wheel.tick_in(0.1), Entry(bench.time, bench.fired)
    bench.wheel.add(tick, gone)
    bench.wheel.remove([(tick, gone)])
    comes = Entry(bench.time, bench.fired)
    bench.wheel.add(tick, comes)
    bench.time.advance(1.0)
    assert bench.fired == [comes]


def test_now_has_reached_every_tick_whose_time_has_come() -> None:
    for tick in range(1, 200_000, 7):
        time = FakeTime(start=tick / TICKS)
        assert TimerWheel(time.monotonic, time.set_timer).now() == tick
