"""The schedule of deadlines on a clock that a test moves."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from chatctl.pacer import Pacer

MS = 1_000_000


class FakeTimer:
    """A clock and the timer on it; `wakeups` counts how often it woke."""

    def __init__(self) -> None:
        self.now_ns = 5_000 * MS
        self.set_to: int | None = None
        self.wakeups = 0

    def monotonic_ns(self) -> int:
        return self.now_ns

    def set(self, at_ns: int) -> None:
        self.set_to = at_ns

    def off(self) -> None:
        self.set_to = None

    def advance(self, ns: int, on_timer: Callable[[], None]) -> None:
        """Let time pass, and wake when it is time."""
        end_ns = self.now_ns + ns
        while self.set_to is not None and self.set_to <= end_ns:
            self.now_ns = max(self.now_ns, self.set_to)
            self.wakeups += 1
            on_timer()
        self.now_ns = end_ns


class PacerHarness:
    """A pacer and what it sent: when, and how late (ns)."""

    def __init__(self, interval_ns: int = 10 * MS, *, sending_takes: int = 0) -> None:
        self.timer = FakeTimer()
        self.sent: list[tuple[int, int]] = []
        self.pacer = Pacer(self.timer.monotonic_ns, self.timer, interval_ns, self.send)
        self._sending_takes = sending_takes

    def send(self, now_ns: int, late_ns: int) -> None:
        self.sent.append((now_ns - 5_000 * MS, late_ns))
        self.timer.now_ns += self._sending_takes

    def advance(self, ns: int) -> None:
        self.timer.advance(ns, self.pacer.on_timer)

    def stall(self, ns: int) -> None:
        """Let time pass without anybody noticing."""
        self.timer.now_ns += ns


def test_the_first_deadline_is_one_interval_after_the_start() -> None:
    harness = PacerHarness()
    harness.pacer.start(3)
    harness.advance(10 * MS - 1)
    assert harness.sent == []
    harness.advance(1)
    assert harness.sent == [(10 * MS, 0)]


def test_there_are_as_many_as_asked_for_and_then_the_timer_is_off() -> None:
    harness = PacerHarness()
    harness.pacer.start(3)
    harness.advance(1_000 * MS)
    assert [at for at, _ in harness.sent] == [10 * MS, 20 * MS, 30 * MS]
    assert harness.pacer.remaining == 0
    assert harness.timer.set_to is None


def test_after_a_stall_all_that_is_overdue_is_sent_at_once_each_as_late_as_it_is() -> None:
    harness = PacerHarness()
    harness.pacer.start(6)
    harness.stall(45 * MS)
    harness.advance(0)
    assert harness.sent == [(45 * MS, late * MS) for late in (35, 25, 15, 5)]
    harness.advance(100 * MS)
    assert harness.sent[4:] == [(50 * MS, 0), (60 * MS, 0)]


def test_sending_that_takes_longer_than_the_interval_skips_nothing() -> None:
    harness = PacerHarness(sending_takes=25 * MS)
    harness.pacer.start(4)
    harness.advance(10 * MS)
    assert [late for _, late in harness.sent] == [0, 15 * MS, 30 * MS, 45 * MS]


def test_a_timer_that_fires_early_sends_nothing_and_is_set_again() -> None:
    harness = PacerHarness()
    harness.pacer.start(1)
    harness.timer.set_to = None
    harness.pacer.on_timer()
    assert harness.sent == []
    assert harness.timer.set_to == 5_010 * MS


def test_it_can_be_stopped() -> None:
    harness = PacerHarness()
    harness.pacer.start(9)
    harness.advance(20 * MS)
    harness.pacer.stop()
    assert harness.timer.set_to is None
    harness.pacer.on_timer()
    assert len(harness.sent) == 2


def test_it_may_stop_itself_while_it_sends() -> None:
    timer = FakeTimer()
    sent: list[int] = []

    def send(now_ns: int, _late_ns: int) -> None:
        sent.append(now_ns)
        pacer.stop()

    pacer = Pacer(timer.monotonic_ns, timer, 10 * MS, send)
    pacer.start(9)
    timer.advance(1_000 * MS, pacer.on_timer)
    assert len(sent) == 1


@given(st.integers(1, 10**9), st.lists(st.integers(0, 10**9), min_size=1, max_size=40))
def test_however_time_passes_each_deadline_is_met_once_in_order_and_never_early(
    interval_ns: int, stalls: list[int]
) -> None:
    harness = PacerHarness(interval_ns)
    harness.pacer.start(20)
    for stall in stalls:
        harness.stall(stall)
        harness.advance(0)
    harness.advance(20 * interval_ns)
    deadlines = [at - late for at, late in harness.sent]
    assert deadlines == [n * interval_ns for n in range(1, 21)]
    assert all(late >= 0 for _, late in harness.sent)
    assert harness.timer.wakeups <= 20
