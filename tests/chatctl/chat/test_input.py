"""Input of a chat: typed and pasted text, and the completion of names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatctl.chat.input import Completion, complete, parse_input
from common.messages.chat import (
    Outgoing,
    OutgoingBroadcast,
    Quit,
    Who,
)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("hello", OutgoingBroadcast("hello")),
        ("*|hello", OutgoingBroadcast("hello")),
        ("bob|hello", Outgoing("bob", "hello")),
        ("bob|a|b", Outgoing("bob", "a|b")),
        ("who", Who()),
        ("quit", Quit()),
        ("quit\n", Quit()),
        ("who is here?", OutgoingBroadcast("who is here?")),
        ("", None),
        (" \n\t\n", None),
    ],
)
def test_a_line_is_read_by_the_grammar_of_the_text_format(text: str, parsed: object) -> None:
    assert parse_input(text) == parsed


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("bob|one\ntwo\n", Outgoing("bob", "one\ntwo")),
        ("bob|\none\n  two", Outgoing("bob", "one\n  two")),
        ("*|one\nbob|two", OutgoingBroadcast("one\nbob|two")),
        ("one\nquit", OutgoingBroadcast("one\nquit")),
        ("who\nare you", OutgoingBroadcast("who\nare you")),
        ("\none\n\ntwo\n", OutgoingBroadcast("one\n\ntwo")),
    ],
)
def test_pasted_lines_are_one_message_to_whom_the_first_line_says(
    text: str, parsed: object
) -> None:
    assert parse_input(text) == parsed


@given(st.text())
def test_what_follows_a_name_never_goes_to_everyone(rest: str) -> None:
    parsed = parse_input(f"bob|{rest}")
    assert isinstance(parsed, Outgoing)
    assert parsed.to == "bob"


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
