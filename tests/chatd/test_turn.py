"""One write per connection and turn of the loop."""

import pytest

from chatd.outbox import Outbox, Part
from chatd.turn import Turn
from common.messages.basic import Ping
from tests.chatd.stage import Deferred, drop


def test_however_much_is_queued_in_a_turn_it_is_flushed_once() -> None:
    end_turn, flushed = Deferred(), list[str]()
    turn = Turn(end_turn)
    ann = Outbox(turn.wake, lambda: flushed.append("ann"), drop)
    bob = Outbox(turn.wake, lambda: flushed.append("bob"), drop)
    for _ in range(3):
        ann.send(Ping())
        bob.put(Part(b"x"))
    assert flushed == []
    end_turn.run()
    assert flushed == ["ann", "bob"]


def test_the_next_turn_flushes_again() -> None:
    end_turn, flushed = Deferred(), list[str]()
    turn = Turn(end_turn)
    ann = Outbox(turn.wake, lambda: flushed.append("ann"), drop)
    for _ in range(3):
        ann.send(Ping())
        end_turn.run()
    end_turn.run()
    assert flushed == ["ann"] * 3


def test_what_a_flush_queues_elsewhere_is_flushed_too() -> None:
    end_turn, flushed = Deferred(), list[str]()
    turn = Turn(end_turn)
    bob = Outbox(turn.wake, lambda: flushed.append("bob"), drop)
    ann = Outbox(turn.wake, lambda: bob.send(Ping()), drop)
    ann.send(Ping())
    end_turn.run()
    assert flushed == ["bob"]


def test_a_flush_that_fails_keeps_no_other_from_theirs(caplog: pytest.LogCaptureFixture) -> None:
    end_turn, flushed = Deferred(), list[str]()
    turn = Turn(end_turn)

    def fail() -> None:
        raise RuntimeError("the transport is broken")

    ann, bob = Outbox(turn.wake, fail, drop), Outbox(turn.wake, lambda: flushed.append("bob"), drop)
    for _ in range(2):
        ann.send(Ping())
        bob.send(Ping())
        end_turn.run()
    assert flushed == ["bob", "bob"]
    assert len(caplog.records) == 2
    assert "RuntimeError: the transport is broken" in caplog.text
