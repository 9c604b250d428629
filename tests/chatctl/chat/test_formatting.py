"""The layout of single messages and notices, as styled text."""

import unicodedata
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatctl.chat.formatting import (
    DIM_STYLE,
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
