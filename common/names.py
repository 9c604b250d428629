"""Names of users and ids of files: which are allowed, and which names count as equal.

Names follow the advice of Unicode TR36 and UAX31: compared without case and compatibility forms,
and free of characters that nobody can see.
"""

import unicodedata
from collections.abc import Iterator
from itertools import count
from typing import Final

MAX_LENGTH: Final = 64

# Invisible characters outside the category Cf: Hangul fillers, the braille blank (Unicode TR36,
# 2.10.5), and the rest of Default_Ignorable_Code_Point. Two names must not differ in these.
_BLANK: Final = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
)
_FORBIDDEN_CATEGORIES: Final = {
    "Cc": "a control character",
    "Cf": "an invisible formatting character",
    "Cn": "an unassigned character",
    "Co": "a private-use character",
    "Cs": "a surrogate",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
}

_SEPARATORS: Final = frozenset("/\\")
_MAX_ID_LENGTH: Final = 64


class InvalidNameError(ValueError):
    """A name breaks a rule; the text says which."""


def normalize(name: str) -> str:
    """Return `name` in NFC, the form that is stored and shown.

    Raises InvalidNameError for a name that is empty or longer than 64 characters, has control or
    invisible characters, ``|``, surrounding white space or a leading ``#``, or is ``*``.
    """
    name = unicodedata.normalize("NFC", name)
    if not 1 <= len(name) <= MAX_LENGTH:
        raise InvalidNameError(
            f"a name must have 1 to {MAX_LENGTH} characters, this one has {len(name)}"
        )
    if name != name.strip():
        raise InvalidNameError("a name must not begin or end with white space")
    # Full-width signs fold to the plain ones, so the same rules hold for them.
    folded = fold(name)
    if folded == "*":
        raise InvalidNameError("the name * means everyone; choose another")
    if folded.startswith("#"):
        raise InvalidNameError("a name must not begin with #")
    if "|" in folded:
        raise InvalidNameError("a name must not contain |, which separates a name from its message")
    for character in name:
        if (kind := invisible_kind(character)) is not None:
            raise InvalidNameError(f"a name must not contain {kind} (U+{ord(character):04X})")
    return name


def invisible_kind(character: str) -> str | None:
    """Return what kind of invisible or undisplayable character this is; None for any other."""
    kind = _FORBIDDEN_CATEGORIES.get(unicodedata.category(character))
    if kind is None and (character in _BLANK or _is_variation_selector(character)):
        kind = "an invisible character"
    return kind


def fold(name: str) -> str:
    """Return the key by which names are compared: equal for all spellings of one name.

    The key is NFKC, case-folded. Folding can undo normalization and the reverse, so both are
    repeated (Unicode 3.13, D146).
    """
    if name.isascii():
        return name.lower()  # the same, for most names, in a tenth of the time
    folded = unicodedata.normalize("NFKC", name).casefold()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", folded).casefold())


def suggestions(name: str) -> Iterator[str]:
    """Yield ``name-2``, ``name-3``, … without end: alternatives to a name that is taken."""
    for number in count(2):
        suffix = f"-{number}"
        yield name[: MAX_LENGTH - len(suffix)].rstrip() + suffix


def check_id(text: str) -> str:
    """Return `text` if it is an id, which becomes part of a file name.

    Raises ValueError unless it has 1 to 64 printable characters, none of them a slash or backslash,
    and does not begin with a dot.
    """
    if not 1 <= len(text) <= _MAX_ID_LENGTH:
        raise ValueError(
            f"an id must have 1 to {_MAX_ID_LENGTH} characters, this one has {len(text)}"
        )
    if not text.isprintable() or _SEPARATORS & set(text):
        raise ValueError("an id must not contain /, \\ or control characters")
    if text.startswith("."):
        raise ValueError("an id must not begin with a dot")
    return text


def _is_variation_selector(character: str) -> bool:
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
