"""The text format: what typed lines ask for, and what a terminal is shown."""

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from common.messages import ClientMessage, Error, Message
from common.messages.basic import Pong
from common.messages.chat import (
    Ack,
    Gap,
    Incoming,
    IncomingBroadcast,
    Joined,
    Left,
    Outgoing,
    OutgoingBroadcast,
    Quit,
    Resumed,
    Users,
    Welcome,
    Who,
)
from common.protocol.codec import InvalidLine
from common.protocol.registry import FROM_SERVER
from common.protocol.text_format import TextDecoder, escape_control, parse_line, render
from tests.support.message_strategies import instances

LIMIT = 16


def typed(*chunks: bytes) -> list[ClientMessage | str]:
    """Return what a person asks for with `chunks`, and for each bad line the reason."""
    decoder = TextDecoder(LIMIT)
    items = [item for chunk in chunks for item in decoder.feed(chunk)]
    items += decoder.finish()
    return [item.error.reason if isinstance(item, InvalidLine) else item for item in items]


def test_who_lists_the_users() -> None:
    assert parse_line("who") == Who()


def test_quit_ends_the_session() -> None:
    assert parse_line("quit") == Quit()


@pytest.mark.parametrize("line", ["Who", "QUIT", "who?", " who", "who ", "quit now", "who quit"])
def test_any_line_but_the_exact_command_is_a_message(
    line: str,
) -> None:
    assert parse_line(line) == OutgoingBroadcast(line)


def test_a_name_before_a_bar_gets_the_text_behind_it() -> None:
    assert parse_line("bob|hi there") == Outgoing("bob", "hi there")


def test_a_star_before_a_bar_is_everyone() -> None:
    assert parse_line("*|hi there") == OutgoingBroadcast("hi there")


def test_a_line_with_no_bar_is_for_everyone() -> None:
    assert parse_line("hi there") == OutgoingBroadcast("hi there")


@pytest.mark.parametrize("line", ["bob |hi", " bob|hi", "\tbob |hi"])
def test_blanks_around_the_name_do_not_count(line: str) -> None:
    assert parse_line(line) == Outgoing("bob", "hi")
    assert parse_line(" * |hi") == OutgoingBroadcast("hi")


def test_blanks_in_and_around_the_text_are_kept() -> None:
    assert parse_line("bob| hi  there ") == Outgoing("bob", " hi  there ")
    assert parse_line("  hi  ") == OutgoingBroadcast("  hi  ")


def test_only_the_first_bar_separates() -> None:
    assert parse_line("bob|a|b") == Outgoing("bob", "a|b")
    assert parse_line("*|who") == OutgoingBroadcast("who")


def test_a_bar_without_a_name_is_no_broadcast() -> None:
    assert parse_line("|secret") == Outgoing("", "secret")


@given(line=st.text())
def test_every_line_is_a_message_and_keeps_its_text(line: str) -> None:
    match parse_line(line):
        case Outgoing(to=to, content=content):
            name, _, text = line.partition("|")
            assert (to, content) == (name.strip(), text)
        case OutgoingBroadcast(content=content):
            assert content in (line, line.partition("|")[2])
        case command:
            assert type(command).__name__.lower() == line


def test_a_typed_line_may_end_with_carriage_return_and_newline() -> None:
    assert typed(b"who\nquit\r\n") == [Who(), Quit()]


def test_blank_lines_are_ignored() -> None:
    assert typed(b"\n\r\n \t \nwho\n\n") == [Who()]


def test_a_typed_line_waits_for_its_newline_or_the_end_of_input() -> None:
    decoder = TextDecoder()
    assert list(decoder.feed(b"wh")) == []
    assert list(decoder.feed(b"o")) == []
    assert list(decoder.finish()) == [Who()]


def test_lines_that_were_not_consumed_are_kept() -> None:
    decoder = TextDecoder()
    next(iter(decoder.feed(b"one\ntwo\nthr")))
    assert decoder.take_rest() == b"two\nthr"
    assert decoder.take_rest() == b""


def test_a_typed_line_that_is_not_utf_8_is_one_error() -> None:
    assert typed(b"\xff\nwho\n") == ["bad_json", Who()]


def test_a_typed_character_may_be_split_between_chunks() -> None:
    assert typed(b"\xc3", b"\xa9\n") == [OutgoingBroadcast("é")]


def test_a_typed_line_over_the_limit_is_one_error_and_its_rest_is_dropped() -> None:
    assert typed(b"x" * LIMIT + b"\n") == [OutgoingBroadcast("x" * LIMIT)]
    assert typed(b"x" * (LIMIT + 1) + b"|who\nwho\n") == ["line_too_long", Who()]


@pytest.mark.parametrize(
    "text",
    [
        "pizza later?",
        "naïve Ωmega 名前 Привет",
        "שלום עולם",
        "مرحبا",
        "🙂 👩\u200d💻 ❤\ufe0f",
        "e\u0301",
        "\u0645\u06cc\u200c\u062e",
        r"C:\temp",
    ],
)
def test_readable_text_is_shown_unchanged(text: str) -> None:
    assert escape_control(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("\x9b2J", r"\x9b2J"),
        ("a\nb\r", r"a\nb\r"),
        ("\x07\x00\x7f", r"\x07\x00\x7f"),
        ("a\tb", r"a\tb"),
        ("a\u2028b\u2029", r"a\u2028b\u2029"),
        ("\x85\x0b\x0c", r"\x85\x0b\x0c"),
        ("\u202etxt.exe", r"\u202etxt.exe"),
        ("\u2066a\u2069\u200f\u061c", r"\u2066a\u2069\u200f\u061c"),
        ("a\u200bb\ufeff\u00ad", r"a\u200bb\ufeff\xad"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_characters_that_move_the_cursor_or_hide_are_escaped(text: str, shown: str) -> None:
    assert escape_control(text) == shown


@given(text=st.text())
def test_no_control_or_formatting_character_is_shown(text: str) -> None:
    shown = escape_control(text)
    kinds = {
        unicodedata.category(character) for character in shown if character not in "\u200c\u200d"
    }
    assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert len(shown.splitlines()) <= 1
    assert escape_control(shown) == shown


LINES: list[Any] = [
    (IncomingBroadcast("ann", "pizza later?", since=3), "3 ann < pizza later?"),
    (Incoming("ann", "hi", since=3), "3 ann (to you) < hi"),
    (Users(["ann", "bob"]), "current users:\nann\nbob\n"),
    (Users([]), "current users:\n"),
    (Joined("ann"), "* ann joined"),
    (Left("ann"), "* ann left"),
    (Gap(7), "! messages before number 7 are no longer kept"),
    (Error("bad_name", "a name must not contain |"), "! a name must not contain |"),
]


@pytest.mark.parametrize(("message", "shown"), LINES)
def test_a_message_is_shown_as_a_line(message: Message, shown: str) -> None:
    assert render(message) == shown


def test_a_broadcast_of_an_anonymous_author_shows_no_name() -> None:
    message = IncomingBroadcast("guest-1", "or maybe pasta?", since=6)
    assert render(message, anonymous=True) == "6 < or maybe pasta?"


@pytest.mark.parametrize(
    "message", [Welcome(), Ack("1", 1), Resumed(2, 9, gap=True, first=7), Pong("", "")], ids=repr
)
def test_what_only_programs_need_is_not_shown(message: Message) -> None:
    assert render(message) is None


@given(message=st.one_of(*(instances(kind) for kind in FROM_SERVER.kinds)))
def test_no_message_shows_an_escape_sequence_or_a_forged_line(message: Struct) -> None:
    if isinstance(message, Message) and (shown := render(message)) is not None:
        lines = 2 + len(message.users) if isinstance(message, Users) else 1
        assert shown.count("\n") == lines - 1
        assert escape_control(shown.replace("\n", "")) == shown.replace("\n", "")
