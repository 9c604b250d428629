"""The grid of deadlines on a clock that a test moves."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from chatctl.pacer import Pacer

MS = 1_000_000


class Time:
    """A clock and the alarm that rings on it; `rings` counts how often it had to."""

    def __init__(self) -> None:
        self.now_ns = 5_000 * MS
        self.set_to: int | None = None
        self.rings = 0

    def monotonic_ns(self) -> int:
        return self.now_ns

    def set(self, at_ns: int) -> None:
        self.set_to = at_ns

    def off(self) -> None:
        self.set_to = None

    def advance(self, ns: int, fire: Callable[[], None]) -> None:
        """Let time pass and ring when it is time."""
        end_ns = self.now_ns + ns
        while self.set_to is not None and self.set_to <= end_ns:
            self.now_ns = max(self.now_ns, self.set_to)
            self.rings += 1
            fire()
        self.now_ns = end_ns


class Paced:
    """A pacer and what it sent: when, and how late (ns)."""

    def __init__(self, interval_ns: int = 10 * MS, *, sending_takes: int = 0) -> None:
        self.time = Time()
        self.sent: list[tuple[int, int]] = []
        self.pacer = Pacer(self.time.monotonic_ns, self.time, interval_ns, self.send)
        self._sending_takes = sending_takes

    def send(self, now_ns: int, late_ns: int) -> None:
        self.sent.append((now_ns - 5_000 * MS, late_ns))
        self.time.now_ns += self._sending_takes

    def advance(self, ns: int) -> None:
        self.time.advance(ns, self.pacer.fire)

    def stall(self, ns: int) -> None:
        """Let time pass without anybody noticing."""
        self.time.now_ns += ns


def test_the_first_deadline_is_one_interval_after_the_start() -> None:
    paced = Paced()
    paced.pacer.start(3)
    paced.advance(10 * MS - 1)
    assert paced.sent == []
    paced.advance(1)
    assert paced.sent == [(10 * MS, 0)]


def test_there_are_as_many_as_asked_for_and_then_the_alarm_is_off() -> None:
    paced = Paced()
    paced.pacer.start(3)
    paced.advance(1_000 * MS)
    assert [at for at, _ in paced.sent] == [10 * MS, 20 * MS, 30 * MS]
    assert paced.pacer.left == 0
    assert paced.time.set_to is None


def test_after_a_stall_all_that_is_overdue_is_sent_at_once_each_as_late_as_it_is() -> None:
    paced = Paced()
    paced.pacer.start(6)
    paced.stall(45 * MS)
    paced.advance(0)
    assert paced.sent == [(45 * MS, late * MS) for late in (35, 25, 15, 5)]
    paced.advance(100 * MS)
    assert paced.sent[4:] == [(50 * MS, 0), (60 * MS, 0)]


def test_sending_that_takes_longer_than_the_interval_skips_nothing() -> None:
    paced = Paced(sending_takes=25 * MS)
    paced.pacer.start(4)
    paced.advance(10 * MS)
    assert [late for _, late in paced.sent] == [0, 15 * MS, 30 * MS, 45 * MS]


def test_an_alarm_that_rings_early_sends_nothing_and_is_set_again() -> None:
    paced = Paced()
    paced.pacer.start(1)
    paced.time.set_to = None
    paced.pacer.fire()
    assert paced.sent == []
    assert paced.time.set_to == 5_010 * MS


def test_it_can_be_stopped() -> None:
    paced = Paced()
    paced.pacer.start(9)
    paced.advance(20 * MS)
    paced.pacer.stop()
    assert paced.time.set_to is None
    paced.pacer.fire()
    assert len(paced.sent) == 2


def test_it_may_stop_itself_while_it_sends() -> None:
    time = Time()
    sent: list[int] = []

    def send(now_ns: int, _late_ns: int) -> None:
        sent.append(now_ns)
        pacer.stop()

    pacer = Pacer(time.monotonic_ns, time, 10 * MS, send)
    pacer.start(9)
    time.advance(1_000 * MS, pacer.fire)
    assert len(sent) == 1


@given(st.integers(1, 10**9), st.lists(st.integers(0, 10**9), min_size=1, max_size=40))
def test_however_time_passes_each_deadline_is_met_once_in_order_and_never_early(
    interval_ns: int, stalls: list[int]
) -> None:
    paced = Paced(interval_ns)
    paced.pacer.start(20)
    for stall in stalls:
        paced.stall(stall)
        paced.advance(0)
    paced.advance(20 * interval_ns)
    deadlines = [at - late for at, late in paced.sent]
    assert deadlines == [n * interval_ns for n in range(1, 21)]
    assert all(late >= 0 for _, late in paced.sent)
    assert paced.time.rings <= 20
