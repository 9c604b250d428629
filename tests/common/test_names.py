"""Which names are allowed, and when two are the same."""

import sys
import unicodedata
from itertools import islice
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from common.names import MAX_LENGTH, InvalidNameError, fold, normalize, suggestions

NAMES: Final = st.text(min_size=1, max_size=70)

# Default_Ignorable_Code_Point in DerivedCoreProperties.txt of Unicode 15.
IGNORABLE: Final = [
    *(0x00AD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFEFF, 0xFFA0),
    *(*range(0x180B, 0x1810), *range(0x200B, 0x2010), *range(0x202A, 0x202F)),
    *(*range(0x2060, 0x2070), *range(0xFE00, 0xFE10), *range(0xFFF0, 0xFFF9)),
    *(*range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B), *range(0xE0000, 0xE1000)),
]


def is_allowed(name: str) -> bool:
    try:
        normalize(name)
    except InvalidNameError:
        return False
    return True


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "*a",
        "a*",
        "**",
        "a#",
        "a b",
        "ann-2",
        "Ω",
        "名前",
        "🙂",
        "O'Neill",
        "<b>",
        "{}",
        "who",
        "-",
        "0",
    ],
)
def test_real_names_are_allowed(name: str) -> None:
    assert normalize(name) == name


@pytest.mark.parametrize("length", [1, MAX_LENGTH])
def test_a_name_has_1_to_64_characters(length: int) -> None:
    assert normalize("x" * length) == "x" * length


@pytest.mark.parametrize("length", [0, MAX_LENGTH + 1, 65_536])
def test_the_error_for_a_name_of_another_length_says_its_length(length: int) -> None:
    with pytest.raises(InvalidNameError, match=f"1 to 64 characters, this one has {length}$"):
        normalize("x" * length)


def test_length_is_counted_after_composition() -> None:
    assert normalize("e\u0301" * MAX_LENGTH) == "é" * MAX_LENGTH
    with pytest.raises(InvalidNameError, match="this one has 65"):
        normalize("\u0958" * 32 + "x")  # a letter that composition takes apart


def test_a_name_is_normalized_to_nfc() -> None:
    assert normalize("Zoe\u0308") == "Zo\u00eb"


@pytest.mark.parametrize("name", [" a", "a ", "\ta", "a\u00a0", "\u3000a", "a\u2003", " "])
def test_white_space_around_a_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidNameError, match="white space"):
        normalize(name)


@pytest.mark.parametrize("star", ["*", "\N{FULLWIDTH ASTERISK}", "\N{SMALL ASTERISK}"])
def test_a_star_is_refused_at_any_width(star: str) -> None:
    with pytest.raises(InvalidNameError, match="everyone"):
        normalize(star)


@pytest.mark.parametrize(
    "name", ["#", "#a", "\N{FULLWIDTH NUMBER SIGN}a", "\N{SMALL NUMBER SIGN}a"]
)
def test_a_leading_hash_is_refused_at_any_width(name: str) -> None:
    with pytest.raises(InvalidNameError, match="begin with #"):
        normalize(name)


@pytest.mark.parametrize("name", ["|", "a|b", "|a", "a|", "a\N{FULLWIDTH VERTICAL LINE}b"])
def test_a_bar_is_refused_anywhere_and_at_any_width(name: str) -> None:
    with pytest.raises(InvalidNameError, match=r"\|"):
        normalize(name)


@pytest.mark.parametrize(
    ("character", "kind"),
    [
        ("\x00", "a control character"),
        ("\n", "a control character"),
        ("\x1b", "a control character"),
        ("\x7f", "a control character"),
        ("\x9b", "a control character"),
        ("\u200b", "an invisible formatting character"),
        ("\u200d", "an invisible formatting character"),
        ("\u202e", "an invisible formatting character"),
        ("\u2066", "an invisible formatting character"),
        ("\ufeff", "an invisible formatting character"),
        ("\U000e0041", "an invisible formatting character"),
        ("\ufe0f", "an invisible character"),
        ("\U000e0100", "an invisible character"),
        ("\u2028", "a line separator"),
        ("\u2029", "a paragraph separator"),
        ("\ud800", "a surrogate"),
        ("\ue000", "a private-use character"),
        ("\uffff", "an unassigned character"),
    ],
)
def test_invisible_characters_are_refused_and_named(character: str, kind: str) -> None:
    with pytest.raises(InvalidNameError, match=rf"{kind} \(U\+{ord(character):04X}\)$"):
        normalize(f"a{character}b")


def test_no_two_names_differ_only_in_invisible_characters() -> None:
    blank = [*IGNORABLE, 0x2800]
    assert [hex(code) for code in blank if is_allowed(f"a{chr(code)}b")] == []


def test_folding_and_normalizing_are_idempotent_for_every_character() -> None:
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        folded = fold(character)
        assert folded == character or fold(folded) == folded, hex(code)
        if is_allowed(character):
            normal = normalize(character)
            if normal != character:
                assert normalize(normal) == normal, hex(code)
                assert fold(normal) == folded, hex(code)
            assert not {unicodedata.category(part) for part in folded} & {"Cc", "Cf", "Zl", "Zp"}


@given(name=NAMES)
@example("ß\u0301").via("a letter that folds into two, the second with the accent")
@example("\u0345\u0301\u0390").via("a mark that moves when folded")
@example("\u1fb3\u0345\u0300\u1e9e")
def test_folding_is_idempotent(name: str) -> None:
    assert fold(fold(name)) == fold(name)


@given(name=NAMES)
def test_normalizing_is_idempotent_and_keeps_the_fold(name: str) -> None:
    if is_allowed(name):
        assert normalize(normalize(name)) == normalize(name)
        assert fold(normalize(name)) == fold(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ann", "ANN"),
        ("ann", "\uff41\uff4e\uff4e"),
        ("file", "\N{LATIN SMALL LIGATURE FI}le"),
        ("strasse", "Straße"),
        ("ss\u0301", "ß\u0301"),
        ("STRASSE", "STRA\N{LATIN CAPITAL LETTER SHARP S}E"),
        ("zoë", "Zoe\u0308"),
        ("σίσυφος", "ΣΊΣΥΦΟΣ"),
        ("ohm", "o\N{PLANCK CONSTANT}m"),
        ("\N{GREEK CAPITAL LETTER OMEGA}", "\N{OHM SIGN}"),
        ("a b", "a\u00a0b"),
        ("a b", "a\u3000b"),
        ("x2", "x²"),
        ("IV", "Ⅳ"),
        ("...", "\N{HORIZONTAL ELLIPSIS}"),
        ("i\u0307", "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}"),
        ("カ", "\N{HALFWIDTH KATAKANA LETTER KA}"),
        ("ǆ", "ǅ"),
    ],
)
def test_names_that_differ_in_case_width_or_form_are_the_same(one: str, other: str) -> None:
    assert fold(normalize(one)) == fold(normalize(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ann", "anne"),
        ("a b", "ab"),
        ("i", "\N{LATIN SMALL LETTER DOTLESS I}"),
        ("i", "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}"),
        ("e", "é"),
        ("a", "\N{CYRILLIC SMALL LETTER A}"),
        ("0", "o"),
    ],
)
def test_names_that_differ_in_a_letter_are_not(one: str, other: str) -> None:
    assert fold(one) != fold(other)


def test_suggestions_count_from_2() -> None:
    assert list(islice(suggestions("ann"), 3)) == ["ann-2", "ann-3", "ann-4"]


def test_a_suggestion_for_a_long_name_is_shortened_to_fit() -> None:
    assert next(suggestions("x" * MAX_LENGTH)) == "x" * 62 + "-2"
    assert next(suggestions("x" * 61 + " yz")) == "x" * 61 + "-2"


@given(
    name=st.one_of(NAMES, st.text("a \u0301é#*", min_size=60, max_size=64)),
    skipped=st.integers(0, 1_000),
)
def test_suggestions_are_valid_short_enough_and_distinct(name: str, skipped: int) -> None:
    if is_allowed(name):
        suggested = list(islice(suggestions(normalize(name)), skipped, skipped + 3))
        assert [normalize(variant) for variant in suggested] == suggested
        assert len({fold(name), *map(fold, suggested)}) == 4
