"""A conversation as a person sees it: events in, lines out."""

from datetime import UTC

import pytest

from chatctl.chat.formatting import (
    ERROR_STYLE,
    StyledLine,
)
from chatctl.chat.screen import MAX_PRESENCE_NOTICES, Screen
from chatctl.client import RefusedError
from chatctl.client.events import LogStartedOver, Receipt, Reconnected, Reconnecting
from chatctl.errors import AnswerTimeoutError
from common.messages.base import Error
from common.messages.chat import (
    Gap,
    Incoming,
    IncomingBroadcast,
    Joined,
    Left,
    Outgoing,
    OutgoingBroadcast,
    Resumed,
)
from common.protocol.timestamps import parse_time


def plain(lines: list[StyledLine]) -> list[str]:
    """Return lines without their styles."""
    return ["".join(text for _, text in line) for line in lines]


WIDE = 80


class FakeClock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.ns = parse_time("2026-11-21T10:00:00.000000Z")

    def __call__(self) -> int:
        return self.ns


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def screen(clock: FakeClock) -> Screen:
    return Screen("ann", ["ann", "bob", "Carla", "carlos"], clock, UTC)


def lines(screen: Screen, columns: int = WIDE) -> list[str]:
    return plain(screen.take_lines(columns))


def pending_lines(screen: Screen, columns: int = WIDE) -> list[str]:
    return plain(screen.pending_lines(columns))


def broadcast(number: int, content: str = "hi", sent: str = "10:00:01.5") -> IncomingBroadcast:
    return IncomingBroadcast("bob", content, id=number, sent=f"2026-11-21T{sent:0<15}Z", since=72)


def test_a_broadcast_is_shown_with_the_time_at_which_the_server_took_it(screen: Screen) -> None:
    screen.on_event(broadcast(1))
    assert lines(screen) == ["10:00:01  1m12s  bob: hi"]
    assert lines(screen) == []


def test_a_message_for_us_alone_says_so(screen: Screen) -> None:
    screen.on_event(Incoming("bob", "hi", id=1, sent="2026-11-21T10:00:01.000000Z", since=0))
    assert lines(screen) == ["10:00:01     0s  bob (to you): hi"]


def test_a_server_that_sends_no_times_is_no_reason_to_fail(screen: Screen) -> None:
    screen.on_event(IncomingBroadcast("bob", "hi", sent="yesterday"))
    assert lines(screen) == ["10:00:00         bob: hi"]


def test_a_message_of_ours_waits_above_the_prompt_and_then_joins_the_rest(
    screen: Screen, clock: FakeClock
) -> None:
    own = screen.add_pending(Outgoing("bob", "pizza?"))
    assert pending_lines(screen) == ["10:00:00         you (to bob): pizza?"]
    assert lines(screen) == []
    clock.ns += 1_000_000_000
    screen.acknowledged(own, Receipt(7, 0.00041))
    assert pending_lines(screen) == []
    assert lines(screen) == ["10:00:01         you (to bob): pizza?  ✓ 0.4 ms"]


def test_a_refusal_stands_with_what_was_refused(screen: Screen) -> None:
    own = screen.add_pending(Outgoing("bbo", "pizza?"))
    screen.failed(own, RefusedError(Error("no_such_user", "there is no bbo here")))
    (line,) = screen.take_lines(WIDE)
    assert plain([line]) == ["10:00:00         you (to bbo): pizza?  ✗ there is no bbo here"]
    assert line[-1][0] == ERROR_STYLE


def test_lines_stand_in_the_order_of_the_log(screen: Screen) -> None:
    own = screen.add_pending(OutgoingBroadcast("second"))
    screen.on_event(broadcast(1, "first"))
    screen.on_event(broadcast(3, "third"))
    screen.on_event(Joined("dave"))
    screen.acknowledged(own, Receipt(2, 0.001))
    assert [line.partition(": ")[2] or line[17:] for line in lines(screen)] == [
        "first",
        "second  ✓ 1.0 ms",
        "third",
        "* dave joined",
    ]


def test_a_log_that_begins_anew_comes_after_the_old_one(screen: Screen) -> None:
    screen.on_event(broadcast(50, "old"))
    screen.on_event(Reconnecting("gone", 1, 0.1))
    screen.on_event(Reconnected(1.0))
    screen.on_event(LogStartedOver("b"))
    screen.on_event(broadcast(1, "new"))
    assert [line[17:] for line in lines(screen)] == [
        "bob: old",
        "* gone; reconnecting",
        "* reconnected after 1s",
        "* the server has started a new log; earlier messages may be missing",
        "bob: new",
    ]


def test_many_waiting_messages_are_counted(screen: Screen) -> None:
    for number in range(5):
        screen.add_pending(OutgoingBroadcast(f"line {number}\nand more"))
    assert pending_lines(screen) == [
        "10:00:00         you: line 0",
        "10:00:00         you: line 1",
        "10:00:00         you: line 2",
        "… 2 more are waiting",
    ]
    assert screen.pending == 5


def test_a_lost_connection_is_one_line_however_often_it_is_tried(screen: Screen) -> None:
    for attempt in range(1, 5):
        screen.on_event(Reconnecting("the server stops", attempt, 0.5))
    screen.on_event(Reconnecting("connection refused", 5, 0.5))
    assert lines(screen) == ["10:00:00         * the server stops; reconnecting"]
    assert pending_lines(screen) == [
        "offline: connection refused; next try in 500ms; messages are sent on reconnect"
    ]
    screen.on_event(Reconnected(3.2))
    screen.on_event(Resumed(0, 7, gap=False))
    assert pending_lines(screen) == []
    assert lines(screen) == ["10:00:00         * reconnected after 3.2s"]


def test_what_is_lost_for_good_is_reported(screen: Screen) -> None:
    screen.on_event(Gap(5))
    screen.on_event(Error("rate_limited", "slow down"))
    assert lines(screen) == [
        "10:00:00         * the server no longer keeps messages before number 5; you missed some",
        "10:00:00         ! slow down",
    ]


def test_joins_and_leaves_are_shown_in_small_groups_only(screen: Screen) -> None:
    screen.on_event(Joined("dave"))
    screen.on_event(Left("dave"))
    assert [line[17:] for line in lines(screen)] == ["* dave joined", "* dave left"]
    for number in range(MAX_PRESENCE_NOTICES):
        screen.on_event(Joined(f"member {number}"))
    assert lines(screen)[-1].endswith(f"member {MAX_PRESENCE_NOTICES - 5} joined")
    screen.on_event(Left("bob"))
    assert lines(screen) == []


def test_who_is_shown_as_at_the_start(screen: Screen) -> None:
    screen.show_present(["ann", "bob\x1b[2J"])
    assert lines(screen) == ["current users:", "ann", "bob\\x1b[2J", ""]


def test_a_request_that_fails_is_reported(screen: Screen) -> None:
    screen.show_error(AnswerTimeoutError("no answer came within 10 s"))
    assert lines(screen) == ["10:00:00         ! no answer came within 10 s"]


def test_another_day_is_announced_once(screen: Screen, clock: FakeClock) -> None:
    screen.on_event(broadcast(1, sent="23:59:59.0"))
    clock.ns += 24 * 3600 * 1_000_000_000
    screen.on_event(Joined("dave"))
    screen.on_event(Joined("erin"))
    assert lines(screen) == [
        "23:59:59  1m12s  bob: hi",
        "Sunday 2026-11-22",
        "10:00:00         * dave joined",
        "10:00:00         * erin joined",
    ]


def test_names_are_completed_from_those_who_are_there_now(screen: Screen) -> None:
    assert screen.complete("bo") == "bob|"
    screen.on_event(Left("bob"))
    assert screen.complete("bo") == "bo"
    screen.on_event(Joined("Boris"))
    assert screen.complete("bo") == "Boris|"
    screen.set_present(["ann", "bono"])
    assert screen.complete("bo") == "bono|"


def test_a_completion_that_is_not_sure_shows_the_choices(screen: Screen) -> None:
    assert screen.complete("car") == "car"
    assert lines(screen) == ["Carla  carlos"]
    screen.set_present(f"member {number:02}" for number in range(32))
    assert screen.complete("m") == "member "
    assert lines(screen)[0].endswith("member 29  and 2 more")


def test_nobody_completes_their_own_name(screen: Screen) -> None:
    assert screen.complete("an") == "an"
    assert lines(screen) == []


def test_an_event_is_shown_when_its_lines_were_taken(screen: Screen) -> None:
    first, second = broadcast(1, "one"), broadcast(2, "two")
    screen.on_event(first)
    assert screen.shown() == []

    lines(screen)
    screen.on_event(second)
    assert screen.shown() == [first]
    assert screen.shown() == []

    lines(screen)
    assert screen.shown() == [second]
