"""How long commits wait for the disk."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

import apsw

_LEVELS: Final = {"NORMAL": 1, "FULL": 2}


@contextmanager
def synchronous(database: apsw.Connection, level: Literal["NORMAL", "FULL"]) -> Iterator[None]:
    """Have commits inside wait until the disk has them (FULL), or not; may raise apsw.Error.

    One that waits makes those before it last, too: they are in the same write-ahead log.
    """
    before = database.pragma("synchronous")
    if before == _LEVELS[level]:
        yield
        return
    database.execute(f"PRAGMA synchronous = {level}")
    try:
        yield
    finally:
        database.execute(f"PRAGMA synchronous = {before}")
