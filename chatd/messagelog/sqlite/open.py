"""Opening a log: create, check, migrate, or say why it cannot be used."""

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
"""KiB of pages in the writer's cache: the newest index pages of thousands of authors."""

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
    """Open the log at `path` for writing; create it if it is missing, migrate old tables.

    It gets a new name if commits may have been lost since the last `boot`. Raises UnusableLogError
    if it is damaged, written by a newer chatd, no log at all, or cannot be read or written. No
    other process may write to it.
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
    # The connection that commits makes no checkpoints: see `chatd.messagelog.sqlite.checkpoint`.
    database.execute("PRAGMA wal_autocheckpoint = 0")
    return database


def connect_to_read(path: Path) -> apsw.Connection:
    """Return a connection that changes nothing. Raises apsw.Error."""
    return _connect(path, apsw.SQLITE_OPEN_READONLY)


def _connect(path: Path, flags: int) -> apsw.Connection:
    database = apsw.Connection(os.fspath(path), flags)
    database.set_busy_timeout(5_000)
    # Otherwise SQLite plans with the value of each bound LIMIT and compiles the statement anew: a
    # third of the cost of storing one message.
    database.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    return database


def open_to_read(path: Path) -> apsw.Connection:
    """Return a connection to a log, which another process may be writing to.

    Raises UnusableLogError.
    """
    if not path.exists():
        raise UnusableLogError(
            f"{path} does not exist; name the directory that chatd uses as --data"
        )
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
        raise _damaged(path, "it is empty")
    if database.pragma("application_id") != schema.APPLICATION_ID:
        raise UnusableLogError(
            f"{path} is not a log of chatd; move it away, or choose another directory with --data"
        )
    version = schema.version_of(database)
    if version > len(migrations):
        raise UnusableLogError(
            f"{path} was written by a newer chatd (tables of version {version}, this one knows "
            f"{len(migrations)}); start that one, or choose another directory with --data"
        )


def _create(path: Path, migrations: Sequence[str]) -> None:
    """Create an empty log atomically: a crash leaves no log."""
    wal = _wal_path(path)
    if wal.exists():
        raise UnusableLogError(
            f"{path} is missing, but {wal.name} is there and has messages of it; restore it, or "
            f"move {wal.name} away to start a new log"
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
    logger.info("migrating %s (%d bytes) from version %d to %d", path, size, version, newest)
    schema.migrate(database, migrations)
    logger.info("migrated to version %d in %.1f s", newest, time.monotonic() - began)


def _require_own_wal(path: Path) -> None:
    """Refuse a backup beside the write-ahead log of another database.

    SQLite would mix the two: a write-ahead log does not say which database it belongs to.
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
    return UnusableLogError(
        f"cannot use {path}: {error}; fix that, or choose another directory with --data"
    )


def _damaged(path: Path, finding: str) -> UnusableLogError:
    return UnusableLogError(
        f"{path} is damaged: {finding}. Restore a backup, or move it away (and {path.name}-wal) "
        "to start a new log"
    )
