"""Integrity checks of a database: a quick one whenever it is opened, a full one on demand."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import apsw

from chatd.messagelog.sqlite import schema

BUDGET: Final = 0.25
"""Seconds (s) that SQLite's own check may take at the start; it reads about 70 MB in that."""

_OPS_BETWEEN_CHECKS: Final = 100
_SAMPLES: Final = 64


def quick_check(database: apsw.Connection, path: Path) -> str | None:
    """Return what is wrong with the database at `path`, as far as that is found in `BUDGET`.

    A small file is checked completely; of a larger one the length, the first pages, a sample of the
    messages, and the newest. No other process may write meanwhile. May raise apsw.Error; a
    CorruptError is damage too.
    """
    # After a checkpoint the file must be as long as its header says.
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    expected = database.pragma("page_count") * database.pragma("page_size")
    if (size := path.stat().st_size) < expected:
        return f"{expected - size} of {expected} bytes are missing"
    return _sqlite_quick_check(database) or _sample(database)


def check(database: apsw.Connection) -> Iterator[str]:
    """Yield all that is wrong with a database, each in one line; it may take minutes.

    May raise apsw.Error.
    """
    is_intact = True
    try:
        for row in database.execute("PRAGMA integrity_check"):
            if row != ("ok",):
                is_intact = False
                yield from str(row[0]).splitlines()
    except apsw.CorruptError as error:
        is_intact = False
        yield str(error)
    if not is_intact:
        return
    version = schema.version_of(database)
    rules = [_ONE_LOG, *_RULES]
    if version >= schema.WITH_DEFERRED_INDEX:
        rules += _INDEX_RULES
    if version >= schema.WITH_ID_BLOCKS:
        rules += _ID_BLOCK_RULES
    for rule in rules:
        yield from _violations(database, rule)


_Rule: TypeAlias = tuple[str, str]
"""A query for violations, and the sentence that reports a row of it."""

_ONE_LOG: Final[_Rule] = (
    "SELECT count(*) FROM log HAVING count(*) <> 1",
    "the table log has {} rows instead of one",
)
_RULES: Final[Sequence[_Rule]] = (
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
        "message {} has a recipient without a name, or a name without a recipient",
    ),
    ("SELECT key FROM holder WHERE length(token_hash) <> 32", "the token of {} is no SHA-256"),
)
# Messages after `filed` may be in the indexes or not.
_INDEX_RULES: Final[Sequence[_Rule]] = (
    (
        "SELECT id FROM entry, log WHERE id <= filed AND ref IS NOT NULL AND NOT EXISTS "
        "(SELECT 1 FROM known_ref AS known "
        "WHERE (known.author, known.ref, known.id) = (entry.author, entry.ref, entry.id))",
        "message {} is not found by its ref",
    ),
    (
        "SELECT author, ref, id FROM known_ref AS known WHERE NOT EXISTS (SELECT 1 FROM entry "
        "WHERE (entry.author, entry.ref, entry.id) = (known.author, known.ref, known.id))",
        "the index has, for identity {}, the ref {} of message {}, which is missing or has another",
    ),
)
_READABLE: Final = (
    "SELECT id, author AS reader FROM entry, log WHERE recipient IS NOT NULL AND id <= filed "
    f"UNION SELECT id, coalesce(recipient, {schema.ALL_READERS}) FROM entry, log WHERE id <= filed"
)
_INDEXED: Final = (
    "SELECT value AS id, reader FROM bundle, json_each(iif(json_valid(ids), ids, '[]')), log "
    "WHERE last <= filed AND value >= first"
)
_READER: Final = f"iif(reader = {schema.ALL_READERS}, 'everyone', 'identity ' || reader)"
_ID_BLOCK_RULES: Final[Sequence[_Rule]] = (
    (
        f"SELECT id, {_READER} FROM (SELECT * FROM ({_READABLE}) EXCEPT {_INDEXED})",
        "the index lacks message {} for {}",
    ),
    (
        f"SELECT id, {_READER} FROM ({_INDEXED} EXCEPT SELECT * FROM ({_READABLE}))",
        "the index has message {} for {}, which is missing or for others",
    ),
    (
        f"SELECT id, {_READER} FROM ({_INDEXED}) GROUP BY id, reader HAVING count(*) > 1",
        "the index has message {} for {} more than once",
    ),
    (
        f"SELECT last, {_READER} FROM bundle, log WHERE last < first OR last IS NOT "
        "(SELECT max(value) FROM json_each(iif(json_valid(ids), ids, '[]')))",
        "the ID block up to message {} of {} ends with another one, or is obsolete",
    ),
)
_BOUNDS: Final = "SELECT first, (SELECT coalesce(max(id), 0) FROM entry) FROM log"


def _violations(database: apsw.Connection, rule: _Rule) -> Iterator[str]:
    statement, sentence = rule
    for row in database.execute(statement):
        yield sentence.format(*row)


def _sqlite_quick_check(database: apsw.Connection) -> str | None:
    deadline = time.monotonic() + BUDGET
    database.set_progress_handler(lambda: time.monotonic() > deadline, _OPS_BETWEEN_CHECKS)
    try:
        (found,) = [str(row[0]) for row in database.execute("PRAGMA quick_check(1)")]
    except apsw.InterruptError:
        return None
    finally:
        database.set_progress_handler(None)
    return None if found == "ok" else " ".join(found.split())


def _sample(database: apsw.Connection) -> str | None:
    """Check a sample of the messages and the newest: each id and its ref must be found."""
    for finding in _violations(database, _ONE_LOG):
        return finding
    bounds: Any = database.execute(_BOUNDS).fetchone()
    first, last = bounds
    by_ref, indexed_through = "SELECT id FROM entry WHERE author = ? AND ref = ?", last
    if schema.version_of(database) >= schema.WITH_DEFERRED_INDEX:
        by_ref = "SELECT id FROM known_ref WHERE author = ? AND ref = ?"
        indexed_through = database.execute("SELECT filed FROM log").get
    step = max(1, (last - first) // _SAMPLES)
    for number in {*range(first, last + 1, step), *range(max(first, last - _SAMPLES), last + 1)}:
        row = database.execute("SELECT author, ref FROM entry WHERE id = ?", (number,)).fetchone()
        if row is None:
            return f"message {number} is missing"
        is_indexed = number <= indexed_through and row[1] is not None
        if is_indexed and database.execute(by_ref, row).fetchone() != (number,):
            return f"message {number} is not found by its ref"
    return None
