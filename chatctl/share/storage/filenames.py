"""Names of received files: the receiver chooses them and trusts none that another peer sent.

`local_name` keeps path traversal, hidden files and deceptive characters out of the directory.
"""

import re
import unicodedata
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

from common import names

PART: Final = ".part"
BITMAP: Final = ".part.map"
"""Added to the name of an unfinished file, and to that of its bitmap."""

_MAX_BYTES: Final = 255 - len(BITMAP)
_MAX_OWNER: Final = 100
_MAX_SUFFIX: Final = 20

_SEPARATORS: Final = re.compile(r"[/\\]")
# Windows reserves these characters and forbids names that end with a dot or a space. Its device
# names (CON, NUL, ...) cannot occur, because every name has an underscore after the owner.
_RESERVED: Final = re.compile(r'[<>:"|?*]')


class FilePaths(NamedTuple):
    """The paths of a received file: complete, unfinished, and its bitmap."""

    final: Path
    part: Path
    bitmap: Path

    @classmethod
    def of(cls, directory: Path, name: str) -> "FilePaths":
        """Return the paths of the file `name` in `directory`."""
        part, bitmap = f"{name}{PART}", f"{name}{BITMAP}"
        return cls(directory / name, directory / part, directory / bitmap)


def local_name(owner: str, name: str) -> str:
    """Return a safe local name for the file that `owner` calls `name`.

    That is ``OWNER_NAME`` without folders, leading dots, control characters, invisible characters
    and those that change the direction of writing. With `BITMAP` it has at most 255 bytes.
    """
    last = next((part for part in reversed(_SEPARATORS.split(name)) if part.strip(". ")), "")
    base = _visible(last) or "file"
    if base.lower().endswith((PART, BITMAP)):
        base += "_"  # these endings are reserved for unfinished files
    prefix = _cut(_visible(_SEPARATORS.sub("_", owner)), _MAX_OWNER)
    stem, suffix = _split(f"{prefix}_{base}")
    return _cut(stem, _MAX_BYTES - len(suffix.encode())) + suffix


def numbered_names(name: str) -> Iterator[str]:
    """Yield `name`, ``STEM-2.SUFFIX``, ``STEM-3.SUFFIX``, … without end, none of them too long."""
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
    """Split a name into stem and suffix; an overlong suffix counts as part of the stem."""
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix.encode()) > _MAX_SUFFIX:
        return name, ""
    return stem, dot + suffix


def _cut(text: str, most: int) -> str:
    """Truncate `text` to `most` bytes of UTF-8."""
    encoded = text.encode()
    if len(encoded) <= most:
        return text
    return encoded[:most].decode(errors="ignore").rstrip(". ")
