"""The dial queue: which peer is dialled when; the test passes in the time."""

from chatctl.share.dial_queue import DIAL_STAGGER, DialQueue, DialTarget
from common.values import Address

THERE = Address("192.0.2.1", 4000)
ELSEWHERE = Address("192.0.2.2", 4000)


def ids(dial_queue: list[DialTarget]) -> list[str]:
    return [target.id for target in dial_queue]


def test_a_peer_whose_id_sorts_later_is_dialled_at_once() -> None:
    dial_queue = DialQueue("5")
    dial_queue.add("7", THERE, 0.0)
    assert ids(dial_queue.take_due(0.0, ())) == ["7"]


def test_a_peer_whose_id_sorts_earlier_gets_time_to_dial() -> None:
    dial_queue = DialQueue("5")
    dial_queue.add("3", THERE, 0.0)
    assert dial_queue.take_due(DIAL_STAGGER - 0.01, ()) == []
    assert ids(dial_queue.take_due(DIAL_STAGGER, ())) == ["3"]


def test_an_address_without_an_id_is_dialled_at_once() -> None:
    dial_queue = DialQueue("5")
    dial_queue.add("", THERE, 0.0)
    dial_queue.add("", ELSEWHERE, 0.0)
    assert [target.address for target in dial_queue.take_due(0.0, ())] == [THERE, ELSEWHERE]


def test_neither_itself_nor_a_connected_peer_is_dialled() -> None:
    dial_queue = DialQueue("5")
    dial_queue.add("5", THERE, 0.0)
    dial_queue.add("7", THERE, 0.0)
    assert dial_queue.take_due(9.0, {"7"}) == []
    assert ids(dial_queue.take_due(9.0, ())) == ["7"]


def test_a_peer_is_not_dialled_twice_at_once() -> None:
    dial_queue = DialQueue("5")
    dial_queue.add("7", THERE, 0.0)
    dial_queue.take_due(0.0, ())
    dial_queue.add("7", THERE, 1.0)
    assert dial_queue.take_due(9.0, ()) == []


def test_a_failed_dial_is_retried_within_seconds_and_its_reason_is_kept() -> None:
    dial_queue = DialQueue("5")
    dial_queue.add("7", THERE, 0.0)
    for now in (0.0, 10.0, 20.0):
        (target,) = dial_queue.take_due(now, ())
        dial_queue.failed(target, "connection refused", now)
    assert [each.error for each in dial_queue.unreachable(())] == ["connection refused"]
    assert list(dial_queue.unreachable({"7"})) == []


def test_a_successful_dial_clears_the_failure_and_an_anonymous_address() -> None:
    dial_queue = DialQueue("5")
    dial_queue.add("", THERE, 0.0)
    (target,) = dial_queue.take_due(0.0, ())
    dial_queue.failed(target, "connection refused", 0.0)
    (target,) = dial_queue.take_due(9.0, ())
    dial_queue.connected(target)
    assert list(dial_queue.unreachable(())) == []
    assert dial_queue.take_due(99.0, ()) == []


def test_a_peer_that_moved_is_dialled_at_the_new_address() -> None:
    dial_queue = DialQueue("5")
    dial_queue.add("7", THERE, 0.0)
    dial_queue.add("7", ELSEWHERE, 1.0)
    assert [target.address for target in dial_queue.take_due(1.0, ())] == [ELSEWHERE]


def test_a_peer_that_left_is_not_dialled_again() -> None:
    dial_queue = DialQueue("5")
    dial_queue.add("7", THERE, 0.0)
    dial_queue.remove("7")
    dial_queue.remove("8")
    assert dial_queue.take_due(9.0, ()) == []


def test_a_disconnected_peer_is_dialled_again_within_seconds() -> None:
    dial_queue = DialQueue("5")
    dial_queue.add("7", THERE, 0.0)
    for now in range(0, 100, 10):
        (target,) = dial_queue.take_due(now, ())
        dial_queue.connected(target)
        dial_queue.disconnected("7", now)
        assert now <= target.due <= now + 5
    dial_queue.disconnected("8", 0.0)
