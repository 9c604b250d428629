"""A conversation as a person sees it: events in, lines out.

Single lines of a chat, as styled text.
Names completed with Tab.
"""

import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatctl.chat.formatting import (
    DIM_STYLE,
    ERROR_STYLE,
    NARROW,
    PALETTE,
    StyledLine,
    format_elapsed,
    format_round_trip,
    message_lines,
    notice_lines,
    recipient,
    styled_author,
)
from chatctl.chat.input import Completion, complete
from chatctl.chat.screen import MAX_PRESENCE_NOTICES, Screen
from chatctl.client.events import LogStartedOver, Receipt, Reconnected, Reconnecting
from chatctl.errors import AnswerTimeoutError, RefusedError
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

NOON = datetime(2026, 11, 21, 12, 34, 56)


def plain(lines: list[StyledLine]) -> list[str]:
    """Return lines without their styles."""
    return ["".join(text for _, text in line) for line in lines]


def render(content: str, columns: int = 80) -> list[str]:
    return plain(message_lines(NOON, 3, [styled_author("bob")], content, columns=columns))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (59.4, "59s"),
        (60, "1m00s"),
        (3599, "59m59s"),
        (3600, "1h00m"),
        (86_399, "23h59m"),
        (5 * 86_400 + 3 * 3600, "5d03h"),
        (400 * 86_400, "400d"),
        (-1, "0s"),
    ],
)
def test_a_time_span_takes_at_most_six_characters(seconds: float, text: str) -> None:
    assert format_elapsed(seconds) == text
    assert len(text) <= 6


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.00041, "0.4 ms"),
        (0.0099, "9.9 ms"),
        (0.012, "12 ms"),
        (0.9994, "999 ms"),
        (1.25, "1.2 s"),
        (200, "3m20s"),
    ],
)
def test_a_round_trip_is_shown_with_what_matters_of_it(seconds: float, text: str) -> None:
    assert format_round_trip(seconds) == text


def test_a_message_shows_its_time_the_since_the_author_and_the_text() -> None:
    assert render("pizza later?") == ["12:34:56     3s  bob: pizza later?"]


def test_a_narrow_window_keeps_its_columns_for_the_text() -> None:
    assert render("pizza?", NARROW - 1) == ["12:34 3s bob: pizza?"]
    assert render("pizza?", NARROW) == ["12:34:56     3s  bob: pizza?"]


def test_the_lines_of_one_message_stand_behind_a_bar_where_nobody_else_can_write() -> None:
    assert render("def f():\r\n\treturn 1\n\n12:34:56     3s  ann: me?") == [
        "12:34:56     3s  bob: def f():",
        "                 |     return 1",
        "                 | ",
        "                 | 12:34:56     3s  ann: me?",
    ]


def test_a_very_tall_message_is_cut() -> None:
    lines = render("\n" * 60_000)
    assert len(lines) == 101
    assert lines[-1].endswith("| … 59901 more lines")


def test_the_suffix_follows_the_last_line() -> None:
    lines = message_lines(
        NOON, None, [("", "you")], "a\nb", [(DIM_STYLE, "  ✓ 0.4 ms")], columns=80
    )
    assert plain(lines)[-1].endswith("| b  ✓ 0.4 ms")


def test_a_notice_stands_in_the_column_of_the_authors() -> None:
    assert plain(notice_lines(NOON, "bob left", columns=80)) == ["12:34:56         * bob left"]
    assert plain(notice_lines(NOON, "no", is_error=True, columns=40)) == ["12:34 ! no"]


@given(name=st.text(max_size=20), content=st.text(max_size=200), columns=st.integers(1, 200))
def test_nothing_that_others_write_moves_the_cursor(name: str, content: str, columns: int) -> None:
    who = [styled_author(name), *recipient(name)]
    for line in plain(message_lines(NOON, 3, who, content, columns=columns)):
        moving = {character for character in line if unicodedata.category(character) in MOVING}
        assert moving <= {"\u200c", "\u200d"}


MOVING = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def test_a_name_has_the_same_colour_in_every_spelling() -> None:
    assert styled_author("Bob")[0] == styled_author("bob")[0]
    assert len({styled_author(f"member {number}")[0] for number in range(100)}) == len(PALETTE)


@pytest.mark.parametrize("colour", PALETTE)
def test_every_colour_can_be_read_on_black_and_on_white(colour: str) -> None:
    light = luminance(colour)
    assert (light + 0.05) / 0.05 > 4
    assert 1.05 / (light + 0.05) > 4


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2.2, 0 to 1."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


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
        "* connected again after 1s",
        "* the server's log started over: messages from before it may be missing",
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
    assert pending_lines(screen) == ["not connected: connection refused"]
    screen.on_event(Reconnected(3.2))
    screen.on_event(Resumed(0, 7, gap=False))
    assert pending_lines(screen) == []
    assert lines(screen) == ["10:00:00         * connected again after 3.2s"]


def test_what_is_lost_for_good_is_reported(screen: Screen) -> None:
    screen.on_event(Gap(5))
    screen.on_event(Error("rate_limited", "slow down"))
    assert lines(screen) == [
        "10:00:00         * messages before number 5 are no longer kept, some were missed",
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


PRESENT = ["bob", "Bea", "anna", "Anna-2", "ÄRGER", "van der Berg"]


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("bo", "bob|"),
        ("BO", "bob|"),
        ("be", "Bea|"),
        ("är", "ÄRGER|"),
        ("van d", "van der Berg|"),
    ],
)
def test_one_name_is_completed_with_its_bar_in_the_way_it_is_written(typed: str, text: str) -> None:
    assert complete(typed, PRESENT) == Completion(text, [])


def test_several_names_are_completed_as_far_as_they_agree() -> None:
    assert complete("c", ["carla", "carlos"]) == Completion("carl", ["carla", "carlos"])


def test_what_is_typed_is_never_shortened() -> None:
    assert complete("AN", PRESENT) == Completion("AN", ["anna", "Anna-2"])


def test_nothing_typed_may_be_anyone() -> None:
    assert complete("", ["bob", "ann"]) == Completion("", ["ann", "bob"])


@pytest.mark.parametrize("typed", ["bob|he", "x", "hello bo"])
def test_what_is_no_name_stays_as_it_is(typed: str) -> None:
    assert complete(typed, PRESENT) == Completion(typed, [])
