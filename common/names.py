"""The rules for the names of users and the ids of exchanges: which are allowed, which are equal."""

import unicodedata
from collections.abc import Iterator
from itertools import count
from typing import Final

MAX_LENGTH: Final = 64

# Characters that show as nothing although Unicode does not file them under Cf: Hangul fillers, the
# braille blank (Unicode TR36, 2.10.5), and what else has the property Default_Ignorable_Code_Point.
# Two names must not differ in what nobody can see.
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
    """A name that the rules do not allow; its text says which rule and what to do."""


def normalize(name: str) -> str:
    """Return `name` in NFC, the form in which it is kept and shown.

    Raises InvalidNameError when the name is empty, has more than 64 characters, or cannot be typed,
    seen or distinguished from a command: control and invisible characters, ``|``, ``*``, a leading
    ``#``, surrounding white space.
    """
    name = unicodedata.normalize("NFC", name)
    if not 1 <= len(name) <= MAX_LENGTH:
        raise InvalidNameError(f"a name has 1 to {MAX_LENGTH} characters, this one {len(name)}")
    if name != name.strip():
        raise InvalidNameError("a name may not begin or end with white space")
    # A full-width sign is the same name as the plain one, and so is no more allowed.
    folded = fold(name)
    if folded == "*":
        raise InvalidNameError("the name * stands for everyone; choose another")
    if folded.startswith("#"):
        raise InvalidNameError("a name may not begin with #; choose another")
    if "|" in folded:
        raise InvalidNameError("a name may not contain |, which parts a name from its text")
    for character in name:
        if (kind := invisible_kind(character)) is not None:
            raise InvalidNameError(f"a name may not contain {kind} (U+{ord(character):04X})")
    return name


def invisible_kind(character: str) -> str | None:
    """Return what `character` is if nobody can see it, or tell what it will show as, else None."""
    kind = _FORBIDDEN_CATEGORIES.get(unicodedata.category(character))
    if kind is None and (character in _BLANK or _is_variation_selector(character)):
        kind = "an invisible character"
    return kind


def fold(name: str) -> str:
    """Return what two spellings of one name have in common: NFKC, casefolded, in NFKC again.

    Folding can undo normalisation and the reverse, so it is repeated (Unicode 3.13, D146).
    """
    if name.isascii():
        return name.lower()  # the same, for most names, in a tenth of the time
    folded = unicodedata.normalize("NFKC", name).casefold()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", folded).casefold())


def suggestions(name: str) -> Iterator[str]:
    """Yield ``name-2``, ``name-3``, … without end: what to suggest where `name` is taken."""
    for number in count(2):
        suffix = f"-{number}"
        yield name[: MAX_LENGTH - len(suffix)].rstrip() + suffix


def _is_variation_selector(character: str) -> bool:
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


def check_id(text: str) -> str:
    """Return `text` if it can name the file of a client, in its directory.

    Raises ValueError unless it has 1 to 64 characters, all printable and none a separator, and does
    not begin with a dot.
    """
    if not 1 <= len(text) <= _MAX_ID_LENGTH:
        raise ValueError(f"an id has 1 to {_MAX_ID_LENGTH} characters, this one {len(text)}")
    if not text.isprintable() or _SEPARATORS & set(text):
        raise ValueError(f"the id {text!r} has a separator or a control character; leave it out")
    if text.startswith("."):
        raise ValueError(f"the id {text!r} begins with a dot; leave it out")
    return text
