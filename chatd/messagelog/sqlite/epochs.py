"""Which log it is, and how far its ids mean the same in the logs that it goes on from.

A log that lacks its newest messages, which may have been seen, would give their ids again, to other
messages, and nobody who saw the old ones would ever get the new. So it takes another name
before it goes on, and remembers under which names it went, each with the newest id that they have
in common. Who comes back with an id of one of these goes on after that, and not from the beginning.
(Epochs that remember where they began serve replicated logs in the same way: Kafka's KIP-101.)
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
    """Return what is the same until the machine starts anew (random(4)).

    Where the system does not tell, every start of chatd counts as one of the machine.
    """
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return secrets.token_hex(16)


def new_epoch(database: apsw.Connection) -> None:
    """Give the log another name, under which no id was given yet; all up to now are common to both.

    To be called in a transaction, or where there is no need for one. May raise apsw.Error.
    """
    if schema.version_of(database) >= schema.WITH_EPOCHS:
        newest: Any = database.execute(_NEWEST).fetchall()[0]
        database.execute("UPDATE ancestor SET last = min(last, ?)", newest)
        database.execute("INSERT INTO ancestor SELECT name, ? FROM log", newest)
        database.execute("UPDATE log SET boot = NULL")
    database.execute("UPDATE log SET name = lower(hex(randomblob(8)))")


def earlier_epochs(database: apsw.Connection) -> dict[str, int]:
    """Return the newest common id by the name of each log that this one goes on from."""
    rows: Any = database.execute("SELECT name, last FROM ancestor")
    return dict(rows)


def open_epoch(database: apsw.Connection, boot: str, *, is_durable: bool) -> None:
    """Note that ids may be given from now on; branch where some may be lost. May raise apsw.Error.

    `is_durable`: each commit waits for the disk, so that no id can be lost. Where it is not, the
    note says in which `boot` that is; as long as this lasts the kernel has what was committed.
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
    """Note, behind all that was committed, that the disk has it. May raise apsw.Error."""
    with synchronous(database, "FULL"), database:
        database.execute("UPDATE log SET boot = NULL WHERE boot IS NOT NULL")
