"""Terminal screens as SVG: escape sequences become colours and weights, text keeps its columns."""

from xml.etree import ElementTree as ET

from bench.document.terminal_svg import Style, Window, draw, styled_lines

SVG = "{http://www.w3.org/2000/svg}"


def texts(*lines: str) -> list[ET.Element]:
    """Return the drawn texts of a window without those of its title bar."""
    picture = ET.fromstring(draw([Window("title", 20, 4, lines)], "a description"))
    return list(picture.iter(f"{SVG}text"))[1:]


def test_plain_text_is_drawn_as_it_is_with_reserved_characters_escaped() -> None:
    assert [text.text for text in texts("a < b & c")] == ["a < b & c"]


def test_a_style_outlasts_its_line_as_tmux_captures_it() -> None:
    first, second = styled_lines(["\x1b[1mbold", "still\x1b[0m not"])
    assert [(style.is_bold, text) for style, text in first if text] == [(True, "bold")]
    assert [(style.is_bold, text) for style, text in second] == [(True, "still"), (False, " not")]


def test_a_colour_of_the_256_is_drawn_as_rgb_until_it_is_reset() -> None:
    red, plain = texts("\x1b[38;5;196mred\x1b[39mplain")
    assert (red.get("fill"), plain.get("fill")) == ("#ff0000", Style().colour)


def test_a_text_starts_at_its_column_and_is_as_wide_as_its_characters() -> None:
    (text,) = texts("    word")
    (other,) = texts("word")
    offset = float(text.get("x", "")) - float(other.get("x", ""))
    assert offset == float(text.get("textLength", ""))


def test_lines_below_the_window_are_left_out() -> None:
    assert [text.text for text in texts("1", "2", "3", "4", "5")] == ["1", "2", "3", "4"]


def test_a_screen_reader_gets_a_description() -> None:
    picture = ET.fromstring(draw([Window("title", 20, 4, [])], 'says "hi"'))
    assert picture.get("aria-label") == 'says "hi"'
