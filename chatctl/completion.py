"""Names completed as a shell completes them."""

from collections.abc import Iterable
from os.path import commonprefix
from typing import NamedTuple

from common.names import fold


class Completion(NamedTuple):
    """What the line becomes, and which names it may stand for where that is not sure."""

    text: str
    choices: list[str]


def complete(typed: str, names: Iterable[str]) -> Completion:
    """Complete the name that `typed` begins, in any case, to ``name|`` where there is only one."""
    if "|" in typed:
        return Completion(typed, [])
    start = fold(typed)
    found = sorted((name for name in names if fold(name).startswith(start)), key=fold)
    if len(found) == 1:
        return Completion(f"{found[0]}|", [])
    common = commonprefix(found)  # noqa: RUF071 - names are no paths
    return Completion(common if len(common) > len(typed) else typed, found)
