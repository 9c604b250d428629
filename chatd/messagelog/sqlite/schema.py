"""The tables of the log in SQLite, their migrations, and when commits sync."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Literal

import apsw

from chatd.messagelog.base import EVERYONE, Audience, Identity

APPLICATION_ID: Final = 0x63686174
"""``chat`` in ASCII, in ``PRAGMA application_id``: marks the database as a log of chatd."""

# The secondary indexes are partial: an index over every row would cost each commit more than the
# thread hop, the statement and the interpreter together (14 us a row with three full ones, 1 us
# without any). Ids have no gaps; `first` says from where on they are kept, and what the next one
# is when none is.
_VERSION_1: Final = """
PRAGMA application_id = 0x63686174;
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
CREATE TABLE log (name TEXT NOT NULL, first INTEGER NOT NULL) STRICT;
INSERT INTO log VALUES (lower(hex(randomblob(8))), 1);
"""

# Which logs it continues, and in which boot of the machine ids were assigned that the disk may not
# have: see `chatd.messagelog.sqlite.epochs`.
_VERSION_2: Final = """
CREATE TABLE ancestor (name TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT, WITHOUT ROWID;
ALTER TABLE log ADD COLUMN boot TEXT;
"""
WITH_EPOCHS: Final = 2

# What the indexes had is in tables of their own, since an index cannot be filled later: see
# `chatd.messagelog.sqlite.index`. They know all up to `filed`, and maybe some behind it. The
# readers of a direct message are its author and its recipient.
_VERSION_3: Final = """
DROP INDEX entry_by_ref;
DROP INDEX entry_by_recipient;
DROP INDEX direct_by_author;
CREATE TABLE known_ref (
    author INTEGER NOT NULL,
    ref    TEXT    NOT NULL,
    id     INTEGER NOT NULL,
    PRIMARY KEY (author, ref)
) STRICT, WITHOUT ROWID;
CREATE TABLE letter (
    reader INTEGER NOT NULL,
    id     INTEGER NOT NULL,
    PRIMARY KEY (reader, id)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER ref_is_new BEFORE INSERT ON entry
WHEN EXISTS (SELECT 1 FROM known_ref WHERE author = new.author AND ref = new.ref)
BEGIN
    SELECT RAISE(ABORT, 'the ref is known');
END;
ALTER TABLE log ADD COLUMN filed INTEGER NOT NULL DEFAULT 0;
INSERT INTO known_ref SELECT author, ref, id FROM entry WHERE ref IS NOT NULL ORDER BY author, ref;
INSERT INTO letter
    SELECT author, id FROM entry WHERE recipient IS NOT NULL
    UNION SELECT recipient, id FROM entry WHERE recipient IS NOT NULL ORDER BY 1, 2;
UPDATE log SET filed = (SELECT coalesce(max(id), 0) FROM entry);
"""
WITH_DEFERRED_INDEX: Final = 3

ID_BLOCK_SIZE: Final = 512
"""Messages of one reader that are a row at most: as many as history unpacks to show one of them."""

ALL_READERS: Final = 0
"""The reader in `bundle` of broadcasts, which have no recipient; no identity is 0."""

_BUILD_ID_BLOCKS: Final = f"""
INSERT INTO bundle
    SELECT reader, max(id), json_group_array(id) FROM (
        SELECT reader, id, row_number() OVER (PARTITION BY reader ORDER BY id) AS place FROM (
            SELECT author AS reader, id FROM entry WHERE recipient IS NOT NULL
            UNION SELECT coalesce(recipient, {ALL_READERS}), id FROM entry
        ) WHERE id <= (SELECT filed FROM log)
    ) GROUP BY reader, (place - 1) / {ID_BLOCK_SIZE};
"""

# Direct messages come in ID blocks, since a row for each reader of each took a third of the log's
# CPU, and so does what is for everyone, since to find that among millions of direct messages took a
# look at each. `ids` is a JSON array of some that follow each other, and `last` the newest of them,
# with which the block goes; older ones may be forgotten already. The table has a rowid: an inner
# page of a tree of rows as long as these would hold but six of them. And the trigger took 1.1 us of
# a message, where the join of what inserts it now (`chatd.messagelog.sqlite.statements`) takes 0.2.
_VERSION_4: Final = f"""
DROP TRIGGER ref_is_new;
DROP TABLE letter;
CREATE TABLE bundle (
    reader INTEGER NOT NULL,
    last   INTEGER NOT NULL,
    ids    TEXT    NOT NULL,
    PRIMARY KEY (reader, last)
) STRICT;
{_BUILD_ID_BLOCKS}"""
WITH_ID_BLOCKS: Final = 4

INDEX_ALL: Final = f"""
INSERT INTO known_ref SELECT author, ref, id FROM entry WHERE ref IS NOT NULL ORDER BY author, ref;
UPDATE log SET filed = (SELECT coalesce(max(id), 0) FROM entry);
{_BUILD_ID_BLOCKS}"""
"""Fills the indexes of a log whose indexes are empty."""

MIGRATIONS: Final[Sequence[str]] = (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4)
"""Script n leads from version n to n + 1; a new file takes them all, from 0 on.

A released script never changes: a change of the tables is one more script.
"""


def recipient_of(audience: Audience) -> int | None:
    """Return what the column `recipient` holds for `audience`."""
    return audience.id if isinstance(audience, Identity) else None


def audience_of(recipient: int | None) -> Audience:
    """Return the audience for which the column `recipient` holds this."""
    return EVERYONE if recipient is None else Identity(recipient)


def version_of(database: apsw.Connection) -> int:
    """Return the version of its tables; 0 where there are none. May raise apsw.Error."""
    return int(database.pragma("user_version"))


def migrate(database: apsw.Connection, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Bring the tables to the newest version, in one transaction. May raise apsw.Error."""
    if version_of(database) == len(migrations):
        return
    with database:
        for script in migrations[version_of(database) :]:
            database.execute(script)
        database.execute(f"PRAGMA user_version = {len(migrations)}")


_LEVELS: Final = {"NORMAL": 1, "FULL": 2}


@contextmanager
def synchronous(database: apsw.Connection, level: Literal["NORMAL", "FULL"]) -> Iterator[None]:
    """Have commits inside sync (FULL) or not (NORMAL); may raise apsw.Error.

    A commit that syncs makes those before it durable too: they are in the same write-ahead log.
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
