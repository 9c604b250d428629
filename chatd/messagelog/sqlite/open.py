"""From a path to a log that can be trusted, or to a sentence that says why it cannot."""

import logging
import os
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, Literal, TypeAlias

import apsw

from chatd.messagelog.base import UnusableLogError
from chatd.messagelog.sqlite import epochs, index, integrity, schema
from common.system.files import sync_directory

logger: Final = logging.getLogger(__name__)

FILE: Final = "log.sqlite"
"""What the database is called in the data directory."""

CACHE_KIB: Final = 16_000
"""KiB of pages that the writer keeps at most: the ends of what thousands of authors have said."""

Durability: TypeAlias = Literal["process", "power"]
"""What a commit survives: the end of the process (kill -9), or a power cut too."""

_WRITE_VERSION_OFFSET: Final = 18
"""The byte of the header that is 2 in a database with a write-ahead log, 1 in one without."""


def open_database(
    path: Path,
    durability: Durability,
    migrations: Sequence[str] = schema.MIGRATIONS,
    boot: str | None = None,
) -> apsw.Connection:
    """Open the log at `path` for writing, made new where there is none, old tables migrated.

    It has another name where the machine, in its present `boot`, has not all that was committed.
    Raises UnusableLogError when it is damaged, of a newer chatd, no log at all, or cannot be read
    or written. Nobody else may write to it.
    """
    try:
        if not path.exists():
            _create(path, migrations)
        _require_own_wal(path)
        database = connect(path, durability)
        try:
            require_log(database, path, migrations)
            if finding := integrity.quick_check(database, path):
                raise _damaged(path, finding)
            _migrate(database, path, migrations)
            database.execute("PRAGMA journal_mode = WAL")
            index.roll_back_unfinished(database)
            boot = boot or epochs.boot_id()
            epochs.open_epoch(database, boot, is_durable=durability == "power")
        except BaseException:
            database.close()
            raise
    except (OSError, apsw.Error) as error:
        raise _unusable(path, error) from None
    return database


def connect(path: Path, durability: Durability) -> apsw.Connection:
    """Return a connection that writes to a log that exists. Raises apsw.Error."""
    database = _connect(path, apsw.SQLITE_OPEN_READWRITE)
    database.execute(f"PRAGMA synchronous = {'FULL' if durability == 'power' else 'NORMAL'}")
    database.execute(f"PRAGMA cache_size = {-CACHE_KIB}")
    # Checkpoints are not made by whoever commits: see `chatd.messagelog.sqlite.checkpoint`.
    database.execute("PRAGMA wal_autocheckpoint = 0")
    return database


def connect_to_read(path: Path) -> apsw.Connection:
    """Return a connection that changes nothing. Raises apsw.Error."""
    return _connect(path, apsw.SQLITE_OPEN_READONLY)


def _connect(path: Path, flags: int) -> apsw.Connection:
    database = apsw.Connection(os.fspath(path), flags)
    database.set_busy_timeout(5_000)
    # Else SQLite looks at each bound LIMIT to plan with it, and so compiles the statement anew each
    # time: a third of what it takes to store one message.
    database.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    return database


def open_to_read(path: Path) -> apsw.Connection:
    """Return a connection to a log, which another process may be writing to.

    Raises UnusableLogError.
    """
    if not path.exists():
        raise UnusableLogError(f"there is no {path}; name the directory that chatd has as --data")
    try:
        database = connect_to_read(path)
        try:
            require_log(database, path)
        except BaseException:
            database.close()
            raise
    except apsw.Error as error:
        raise _unusable(path, error) from None
    return database


def require_log(
    database: apsw.Connection, path: Path, migrations: Sequence[str] = schema.MIGRATIONS
) -> None:
    """Raise UnusableLogError if it is not a log that this chatd knows. May raise apsw.Error."""
    if database.pragma("page_count") == 0:
        raise _damaged(path, "it is empty, which no log ever is")
    if database.pragma("application_id") != schema.APPLICATION_ID:
        raise UnusableLogError(f"{path} is no log of chatd; move it away or choose another --data")
    version = schema.version_of(database)
    if version > len(migrations):
        raise UnusableLogError(
            f"{path} was written by a newer chatd (tables of version {version}, this one knows "
            f"{len(migrations)}); start that one, or choose another --data"
        )


def _create(path: Path, migrations: Sequence[str]) -> None:
    """Make an empty log in one step: whenever that is cut short, there is none."""
    wal = _wal_path(path)
    if wal.exists():
        raise UnusableLogError(
            f"{path} is missing, but {wal.name} is there and has messages of it; put it back, or "
            f"move {wal.name} away to begin a new log"
        )
    new = path.with_name(f"{path.name}.new")
    for left_over in path.parent.glob(f"{new.name}*"):
        left_over.unlink()
    with closing(apsw.Connection(os.fspath(new))) as database:
        schema.migrate(database, migrations)
    new.rename(path)
    sync_directory(path.parent)


def _migrate(database: apsw.Connection, path: Path, migrations: Sequence[str]) -> None:
    version, newest = schema.version_of(database), len(migrations)
    if version == newest:
        return
    size, began = path.stat().st_size, time.monotonic()
    logger.info("bringing %s (%d bytes) from version %d to %d", path, size, version, newest)
    schema.migrate(database, migrations)
    logger.info("it is of version %d after %.1f s", newest, time.monotonic() - began)


def _require_own_wal(path: Path) -> None:
    """Refuse a backup beside the write-ahead log of what was there before.

    SQLite would mix the two: nothing in a write-ahead log says which database it belongs to.
    """
    with path.open("rb") as file:
        is_backup = file.read(_WRITE_VERSION_OFFSET + 1)[_WRITE_VERSION_OFFSET:] == b"\1"
    wal = _wal_path(path)
    if is_backup and wal.exists() and wal.stat().st_size:
        raise UnusableLogError(
            f"{path} is a backup, but {wal.name} belongs to another log; move {wal.name} away"
        )


def _wal_path(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _unusable(path: Path, error: Exception) -> UnusableLogError:
    if isinstance(error, apsw.CorruptError | apsw.NotADBError):
        return _damaged(path, str(error))
    return UnusableLogError(f"cannot use {path}: {error}; mend that, or choose another --data")


def _damaged(path: Path, finding: str) -> UnusableLogError:
    return UnusableLogError(
        f"{path} is damaged: {finding}. Put back a backup, or move it away (and {path.name}-wal) "
        "to begin a new log"
    )
