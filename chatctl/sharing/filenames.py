"""What the files of others are called here: the receiver chooses, and trusts no name."""

import re
import unicodedata
from collections.abc import Iterator
from itertools import count
from typing import Final

from common import names

PART: Final = ".part"
BITMAP: Final = ".part.map"
"""What is added to the name of a file that is unfinished, and to that of its bitmap."""

_MAX_BYTES: Final = 255 - len(BITMAP)
_MAX_OWNER: Final = 100
_MAX_SUFFIX: Final = 20

_SEPARATORS: Final = re.compile(r"[/\\]")
# Windows keeps these for itself, and no name that ends with a dot or a space. Its devices (CON,
# NUL, ...) are no concern, since no name here is without the underscore after the owner.
_RESERVED: Final = re.compile(r'[<>:"|?*]')


def local_name(owner: str, name: str) -> str:
    """Return what the file that `owner` calls `name` may be called in any directory.

    That is ``OWNER_NAME`` without folders, leading dots, control characters and all that is
    invisible or changes the direction of writing. With `BITMAP` it has 255 bytes at most.
    """
    last = next((part for part in reversed(_SEPARATORS.split(name)) if part.strip(". ")), "")
    base = _visible(last) or "file"
    if base.lower().endswith((PART, BITMAP)):
        base += "_"  # what is named so is unfinished
    prefix = _cut(_visible(_SEPARATORS.sub("_", owner)), _MAX_OWNER)
    stem, suffix = _split(f"{prefix}_{base}")
    return _cut(stem, _MAX_BYTES - len(suffix.encode())) + suffix


def numbered_names(name: str) -> Iterator[str]:
    """Yield `name`, ``STEM-2.SUFFIX``, ``STEM-3.SUFFIX``, … without end, none too long."""
    yield name
    stem, suffix = _split(name)
    for number in count(2):
        ending = f"-{number}{suffix}"
        yield _cut(stem, _MAX_BYTES - len(ending.encode())) + ending


def _visible(text: str) -> str:
    normal = unicodedata.normalize("NFC", text)
    spaced = "".join(" " if character.isspace() else character for character in normal)
    seen = "".join(character for character in spaced if names.invisible_kind(character) is None)
    return _RESERVED.sub("_", seen).lstrip(". ").rstrip(". ")


def _split(name: str) -> tuple[str, str]:
    """Part a name into stem and suffix; what is too long to be one is no suffix."""
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix.encode()) > _MAX_SUFFIX:
        return name, ""
    return stem, dot + suffix


def _cut(text: str, most: int) -> str:
    """Return what of `text` fits into `most` bytes."""
    encoded = text.encode()
    if len(encoded) <= most:
        return text
    return encoded[:most].decode(errors="ignore").rstrip(". ")
