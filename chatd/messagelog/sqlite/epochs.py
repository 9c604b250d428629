"""Epochs of a log: its present name, its earlier names, and the newest id common to each.

A log that lost its newest messages would assign their ids to other messages. A client that saw the
lost ones would never get the new ones. So the log takes a new name first. It remembers each earlier
name with the newest id that means the same in both, and a client that resumes with an earlier name
continues after that id, and not from the beginning.
(Leader epochs serve replicated logs in the same way: Kafka's KIP-101.)
"""

import secrets
from functools import cache
from pathlib import Path
from typing import Any, Final

import apsw

from chatd.messagelog.sqlite import schema
from chatd.messagelog.sqlite.schema import synchronous

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_NEWEST: Final = "SELECT coalesce(max(id), (SELECT first - 1 FROM log)) FROM entry"


@cache
def boot_id() -> str:
    """Return the id of the boot of this machine (random(4)).

    If the system has none, every start of chatd counts as a boot.
    """
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return secrets.token_hex(16)


def new_epoch(database: apsw.Connection) -> None:
    """Give the log a new name; all ids up to now mean the same under both names.

    To be called in a transaction, or where none is needed. May raise apsw.Error.
    """
    if schema.version_of(database) >= schema.WITH_EPOCHS:
        newest: Any = database.execute(_NEWEST).fetchall()[0]
        database.execute("UPDATE ancestor SET last = min(last, ?)", newest)
        database.execute("INSERT INTO ancestor SELECT name, ? FROM log", newest)
        database.execute("UPDATE log SET boot = NULL")
    database.execute("UPDATE log SET name = lower(hex(randomblob(8)))")


def earlier_epochs(database: apsw.Connection) -> dict[str, int]:
    """Return the newest common id by the name of each log that this one continues."""
    rows: Any = database.execute("SELECT name, last FROM ancestor")
    return dict(rows)


def open_epoch(database: apsw.Connection, boot: str, *, is_durable: bool) -> None:
    """Record that ids are assigned from now on; start a new epoch if some may be lost.

    `is_durable` says that each commit syncs, so that no id can be lost. Otherwise the `boot` is
    recorded: as long as it lasts, the kernel has everything that was committed. May raise
    apsw.Error.
    """
    recorded: Any = database.execute("SELECT boot FROM log").fetchall()[0][0]
    wanted = None if is_durable else boot
    if recorded == wanted:
        return
    with synchronous(database, "FULL"), database:
        if recorded not in (None, boot):
            new_epoch(database)
        database.execute("UPDATE log SET boot = ?", (wanted,))


def close_epoch(database: apsw.Connection) -> None:
    """Record, after everything that was committed, that the disk has it. May raise apsw.Error."""
    with synchronous(database, "FULL"), database:
        database.execute("UPDATE log SET boot = NULL WHERE boot IS NOT NULL")
