"""Whether a database can be trusted: what is looked at when it is opened, and on demand."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import apsw

BUDGET: Final = 0.5
"""Seconds (s) that SQLite's own check may take at the start; it does about 0.5 GiB in that."""

_OPS_BETWEEN_LOOKS: Final = 100
_SAMPLES: Final = 64


def damage(database: apsw.Connection, path: Path) -> str | None:
    """Return what is wrong with the database at `path`, as far as that is found in `BUDGET`.

    A file that is small enough is looked at whole. Of a larger one every page is counted, the
    first ones are looked at, and so are messages here and there and the newest. Nobody else may
    write meanwhile. May raise apsw.Error, which is damage too if it is a CorruptError.
    """
    # What is still in the write-ahead log goes to the file, which then must be as long as it says.
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    expected = database.pragma("page_count") * database.pragma("page_size")
    if (size := path.stat().st_size) < expected:
        return f"{expected - size} of {expected} bytes are missing"
    finding = _quick_check(database)
    return _sampled(database) if finding is None else finding or None


def findings(database: apsw.Connection) -> Iterator[str]:
    """Yield all that is wrong with a database, each in one line; it may take minutes.

    May raise apsw.Error.
    """
    is_sound = True
    try:
        for row in database.execute("PRAGMA integrity_check"):
            if row != ("ok",):
                is_sound = False
                yield from str(row[0]).splitlines()
    except apsw.CorruptError as fault:
        is_sound = False
        yield str(fault)
    if not is_sound:
        return
    for statement, sentence in _RULES:
        for row in database.execute(statement):
            yield sentence.format(*row)


_BOUNDS: Final = "SELECT first, (SELECT coalesce(max(id), 0) FROM entry) FROM log"
_RULES: Final = (
    ("SELECT count(*) FROM log HAVING count(*) <> 1", "the table log has {} rows instead of one"),
    (
        "SELECT min(entry.id), first FROM entry, log HAVING min(entry.id) < first",
        "message {} is older than the first that is kept, {}",
    ),
    (
        "SELECT count(*), first, max(entry.id) FROM entry, log "
        "HAVING count(*) <> max(entry.id) - first + 1",
        "there are {} messages with ids from {} to {}, where each id should be there",
    ),
    (
        "SELECT author, ref, count(*) FROM entry NOT INDEXED WHERE ref IS NOT NULL "
        "GROUP BY author, ref HAVING count(*) > 1",
        "identity {} has used the ref {} for {} messages",
    ),
    (
        'SELECT id FROM entry WHERE (recipient IS NULL) <> ("to" IS NULL)',
        "message {} has half a recipient",
    ),
    ("SELECT key FROM holder WHERE length(token_hash) <> 32", "the token of {} is no SHA-256"),
)


def _quick_check(database: apsw.Connection) -> str | None:
    """Return "" for a sound file, what was found in a damaged one, and None if time ran out."""
    deadline = time.monotonic() + BUDGET
    database.set_progress_handler(lambda: time.monotonic() > deadline, _OPS_BETWEEN_LOOKS)
    try:
        (found,) = [str(row[0]) for row in database.execute("PRAGMA quick_check(1)")]
    except apsw.InterruptError:
        return None
    finally:
        database.set_progress_handler(None)
    return "" if found == "ok" else " ".join(found.split())


def _sampled(database: apsw.Connection) -> str | None:
    """Look at messages here and there and at the newest: each id must be there, and its ref."""
    bounds: Any = database.execute(_BOUNDS).fetchone()
    first, last = bounds
    step = max(1, (last - first) // _SAMPLES)
    for number in {*range(first, last + 1, step), *range(max(first, last - _SAMPLES), last + 1)}:
        row = database.execute("SELECT author, ref FROM entry WHERE id = ?", (number,)).fetchone()
        if row is None:
            return f"message {number} is missing"
        by_ref = database.execute("SELECT id FROM entry WHERE author = ? AND ref = ?", row)
        if row[1] is not None and by_ref.fetchone() != (number,):
            return f"message {number} is not found by its ref"
    return None
