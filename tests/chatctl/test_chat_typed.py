"""What a typed or pasted text asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatctl.typed import read
from common.messages.chat import Outgoing, OutgoingBroadcast, Quit, Who


@pytest.mark.parametrize(
    ("text", "asked"),
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
def test_a_line_is_read_by_the_grammar_of_the_text_format(text: str, asked: object) -> None:
    assert read(text) == asked


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("bob|one\ntwo\n", Outgoing("bob", "one\ntwo")),
        ("bob|\none\n  two", Outgoing("bob", "one\n  two")),
        ("*|one\nbob|two", OutgoingBroadcast("one\nbob|two")),
        ("one\nquit", OutgoingBroadcast("one\nquit")),
        ("who\nare you", OutgoingBroadcast("who\nare you")),
        ("\none\n\ntwo\n", OutgoingBroadcast("one\n\ntwo")),
    ],
)
def test_pasted_lines_are_one_message_to_whom_the_first_line_says(text: str, asked: object) -> None:
    assert read(text) == asked


@given(st.text())
def test_what_follows_a_name_never_goes_to_everyone(rest: str) -> None:
    asked = read(f"bob|{rest}")
    assert isinstance(asked, Outgoing)
    assert asked.to == "bob"
