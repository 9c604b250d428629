"""The database file of the log: its tables, its version, and whether it can be trusted."""

import os
import secrets
import time
from pathlib import Path
from typing import Final, Literal

import apsw

VERSION: Final = 1
"""Of the tables, in ``PRAGMA user_version``; 0 is an empty file."""

CHECK_BUDGET: Final = 0.5
"""Seconds (s) that the check at the start may take; ``chatd --check`` takes as long as it needs."""

_APPLICATION_ID: Final = 0x63686174
"""``chat`` in ASCII: tells this file from any other SQLite database."""

_STEPS_BETWEEN_LOOKS: Final = 10_000

# The secondary indexes are partial: an index over every row would cost each commit more than the
# thread hop, the statement and the interpreter together (14 us a row with three full ones, 1 us
# without any).
_TABLES: Final = """
CREATE TABLE entry (
    id        INTEGER PRIMARY KEY,
    author    INTEGER NOT NULL,
    name      TEXT    NOT NULL,
    content   TEXT    NOT NULL,
    sent_ns   INTEGER NOT NULL,
    since     INTEGER NOT NULL,
    recipient INTEGER,
    "to"      TEXT,
    ref       TEXT,
    nameless  INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX entry_by_ref ON entry (author, ref) WHERE ref IS NOT NULL;
CREATE INDEX entry_by_recipient ON entry (recipient) WHERE recipient IS NOT NULL;
CREATE INDEX direct_by_author ON entry (author) WHERE recipient IS NOT NULL;
CREATE TABLE holder (
    key        TEXT    PRIMARY KEY,
    identity   INTEGER NOT NULL,
    token_hash BLOB    NOT NULL,
    seen_ns    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE log (name TEXT NOT NULL) STRICT;
"""


class DatabaseError(Exception):
    """The file cannot be used as a log; the text says why and what to do."""


Durability = Literal["process", "power"]
"""What a commit survives: the end of the process (kill -9), or a power cut too."""


def open_database(path: Path, durability: Durability) -> apsw.Connection:
    """Open the log at `path`, made new where there is none, and look whether it is whole.

    Raises DatabaseError when it is damaged, of a newer chatd or no log at all.
    """
    try:
        if not path.exists() or path.stat().st_size == 0:
            _create(path)
        connection = connect(path, durability)
        _check_kind(connection, path)
        check(connection, path, CHECK_BUDGET)
    except (apsw.NotADBError, apsw.CorruptError) as fault:
        raise DatabaseError(_damaged(path, str(fault))) from None
    except apsw.Error as fault:
        raise DatabaseError(f"cannot open {path}: {fault}") from None
    return connection


def connect(path: Path, durability: Durability) -> apsw.Connection:
    """Return a connection to a log that exists; raises apsw.Error."""
    connection = apsw.Connection(os.fspath(path), apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(5_000)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {'FULL' if durability == 'power' else 'NORMAL'}")
    # Few pages make checkpoints frequent and short: they decide how long the slowest commits take.
    connection.execute("PRAGMA wal_autocheckpoint = 1000")
    return connection


def check(database: apsw.Connection, path: Path, budget: float | None) -> bool:
    """Look for damage for up to `budget` s (None: to the end); return whether all was looked at.

    Raises DatabaseError when there is some.
    """
    if budget is not None:
        deadline = time.monotonic() + budget
        database.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_BETWEEN_LOOKS)
    try:
        findings = [str(row[0]) for row in database.execute("PRAGMA quick_check(1)")]
    except apsw.InterruptError:
        return False
    except apsw.CorruptError as fault:
        raise DatabaseError(_damaged(path, str(fault))) from None
    finally:
        database.set_progress_handler(None)
    if findings != ["ok"]:
        raise DatabaseError(_damaged(path, findings[0]))
    return True


def _create(path: Path) -> None:
    connection = apsw.Connection(os.fspath(path))
    try:
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        with connection:
            connection.execute(_TABLES)
            connection.execute("INSERT INTO log VALUES (?)", (secrets.token_hex(8),))
            connection.execute(f"PRAGMA user_version = {VERSION}")
    finally:
        connection.close()


def _check_kind(database: apsw.Connection, path: Path) -> None:
    if database.pragma("application_id") != _APPLICATION_ID:
        raise DatabaseError(f"{path} is no log of chatd; move it away or choose another --data")
    version = database.pragma("user_version")
    if version > VERSION:
        raise DatabaseError(
            f"{path} was written by a newer chatd (tables {version}, this one knows {VERSION}); "
            "install that one, or choose another --data"
        )


def _damaged(path: Path, finding: str) -> str:
    return (
        f"{path} is damaged ({finding}); nothing was changed. Put back a backup, or move the file "
        "away to begin a new log"
    )
