"""The log's statements, as plain calls that block; one object for one thread.

What one commit stores, and what came of it.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, cached_property
from typing import Any, Final, Generic

import apsw
from msgspec import Struct, structs

from chatd.messagelog.base import (
    Appended,
    AppendResult,
    Entry,
    HistorySlice,
    NameOwner,
    NewMessage,
    Page,
    Retention,
    Sender,
    as_results,
    assign_ids,
)
from chatd.messagelog.sqlite import epochs
from chatd.messagelog.sqlite.index import DeferredIndex, KnownRefError, indexed_ids_of
from chatd.messagelog.sqlite.schema import ALL_READERS, audience_of, recipient_of, synchronous


class NameClaim(Struct, frozen=True, gc=False):
    """an owner who wants a name that `replacing` has, or nobody."""

    owner: NameOwner
    replacing: NameOwner | None


class CommitBatch(Struct, Generic[Sender], frozen=True):
    """Messages and their senders, claims to names, and when owners were seen.

    `seen` has the identity and ns since the Unix epoch by the key of the name.
    """

    appended: Appended[Sender]
    claims: Sequence[NameClaim]
    seen: Mapping[str, tuple[int, int]]

    @property
    def size(self) -> int:
        """How many messages there are."""
        return sum(len(messages) for messages, _ in self.appended)


class CommitResult(Struct, Generic[Sender], frozen=True):
    """What came of a batch: results of all messages, and whether each claim was granted.

    `first` and `last` are the log's after it.
    """

    results: Sequence[AppendResult[Sender]]
    granted: Sequence[bool]
    first: int
    last: int


TRIM_STEP: Final = 0.002
"""Seconds (s) after which a step of trimming lets others come first."""

_TRIM_SLICE: Final = 64
_REPLAY_STEP: Final = 1_000

MAX_ROWS: Final = 512
"""Messages that one statement stores at most; its text is short enough to be kept prepared."""

_COLUMNS: Final = 'id, author, name, content, sent_ns, since, recipient, "to", ref, nameless'
_ROW: Final = "(?,?,?,?,?,?,?,?,?,?)"
_INSERT: Final = f"INSERT INTO entry ({_COLUMNS}) VALUES {_ROW}"
_SELECT: Final = f"SELECT {_COLUMNS} FROM entry"
_BY_ID: Final = f"{_SELECT} WHERE id = ?"
_ID_OF: Final = "SELECT id FROM known_ref WHERE author = ? AND ref = ?"
_REPLAY: Final = f"""
{_SELECT} WHERE id > :after AND id <= :through
AND CASE WHEN recipient IS NULL THEN author <> :reader ELSE recipient = :reader END
ORDER BY id
"""
# Messages are found by the ID blocks of their readers, but the newest, which are not indexed yet.
_HISTORY: Final = f"""
SELECT * FROM ({_SELECT} WHERE id < :before AND id > (SELECT filed FROM log)
               AND (recipient IS NULL OR :reader IN (author, recipient))
               ORDER BY id DESC LIMIT :limit)
UNION ALL SELECT {_COLUMNS} FROM ({indexed_ids_of(":reader")}) CROSS JOIN entry USING (id)
UNION ALL SELECT {_COLUMNS} FROM ({indexed_ids_of(ALL_READERS)}) CROSS JOIN entry USING (id)
ORDER BY id DESC LIMIT :limit
"""
_CLAIM_FREE: Final = "INSERT OR IGNORE INTO holder VALUES (?,?,?,?)"
_CLAIM_HELD: Final = """
UPDATE holder SET identity = ?, token_hash = ?, seen_ns = ?
WHERE key = ? AND identity = ? AND token_hash = ?
"""
_SEEN: Final = "UPDATE holder SET seen_ns = ? WHERE key = ? AND identity = ?"
_LAST_TOO_OLD: Final = "SELECT max(id) FROM entry WHERE id < ? AND sent_ns < ?"


class Database:
    """Reads and writes the tables of `schema`; every call may raise apsw.Error."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._execute: Callable[..., apsw.Cursor] = connection.execute
        self.wal_pages = 0
        """Pages in the write-ahead log after the last commit here."""
        connection.set_wal_hook(self._note_wal)
        self.name = str(self._value("SELECT name FROM log"))
        """Of this log."""
        self.first = self._first()
        """The oldest id that is kept; last + 1 when there is none."""
        self.last = int(self._value("SELECT coalesce(max(id), ?) FROM entry", self.first - 1))
        """The newest id."""

    def store(self, batch: CommitBatch[Sender]) -> CommitResult[Sender]:
        """Store all of `batch` in one transaction; when that fails, nothing of it is stored."""
        try:
            if not (batch.claims or batch.seen or batch.size > MAX_ROWS):
                # A statement is a transaction of its own. To wait but once for the interpreter,
                # which the event loop has meanwhile, is worth 20 %.
                return CommitResult(self._insert_all(batch.appended), (), self.first, self.last)
            return self._store(batch, self._insert_all)
        except (KnownRefError, apsw.ConstraintError):
            # Some were stored before. That is rare, so only now each is looked up.
            return self._store(batch, self._insert_each)

    def trim(self, retention: Retention, now_ns: int, at_least: int = 0) -> bool:
        """Forget the oldest of what is not kept, for `TRIM_STEP` and until `at_least` are gone.

        Returns whether there is more to forget. `now_ns` is in ns since the Unix epoch.
        """
        if self._first_to_keep(retention, now_ns) == self.first:
            return False
        deadline, goal = time.monotonic() + TRIM_STEP, self.first + at_least
        # These do not wait for the disk; the next commit that does waits for them too.
        with synchronous(self._connection, "NORMAL"), self._transaction():
            while (kept := self._first_to_keep(retention, now_ns)) > self.first:
                self._index.delete(before=kept)
                self._execute("DELETE FROM entry WHERE id < ?", (kept,))
                self.first = kept
                if self.first >= goal and time.monotonic() > deadline:
                    break
            self._execute("UPDATE log SET first = ?", (self.first,))
        return self._first_to_keep(retention, now_ns) > self.first

    def index(self, *, is_idle: bool = False) -> bool:
        """Do a step of what the indexes are behind; return whether there is more to do.

        Who `is_idle` does not wait for more to come.
        """
        return self._index.step(self.last, is_idle=is_idle)

    def replay(self, reader: int, after: int, through: int) -> Page:
        """Return what reached `reader` of the next ids after `after`, up to `through`."""
        start = max(after, self._first() - 1)
        position = min(through, start + _REPLAY_STEP)
        bounds = {"reader": reader, "after": start, "through": position}
        return Page([_entry(row) for row in self._execute(_REPLAY, bounds)], max(position, after))

    def history(self, reader: int, before: int, limit: int) -> HistorySlice:
        """Return the newest `limit` entries that concern `reader` with id < before."""
        bounds = {"reader": reader, "before": before, "limit": limit + 1}
        found = [_entry(row) for row in self._execute(_HISTORY, bounds)]
        return HistorySlice(found[:limit][::-1], more=len(found) > limit)

    def owner(self, key: str) -> NameOwner | None:
        """Return who holds the name with this key."""
        row = self._execute("SELECT * FROM holder WHERE key = ?", (key,)).fetchone()
        return None if row is None else NameOwner(*row)

    def used_bytes(self) -> int:
        """Return what tables and indexes take, in bytes; free pages of the file are not in it."""
        pages = self._connection.pragma("page_count") - self._connection.pragma("freelist_count")
        return int(pages * self._connection.pragma("page_size"))

    def checkpoint(self) -> int:
        """Move what commits left in the write-ahead log to the database; return pages moved.

        These count from the start of the write-ahead log, which begins anew after all were moved.
        Others may read and commit meanwhile; what they still need stays.
        """
        moved: Any = self._execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()[0][2]
        return int(moved)

    def earlier_epochs(self) -> Mapping[str, int]:
        """Return the newest common id by the name of each log that this one goes on from."""
        return epochs.earlier_epochs(self._connection)

    def close_epoch(self) -> None:
        """Have the disk take all that was committed, after which nothing more may be stored."""
        epochs.close_epoch(self._connection)

    def close(self) -> None:
        """Let go of the file; the last to do so folds the write-ahead log into it."""
        self._connection.close()

    def _store(
        self,
        batch: CommitBatch[Sender],
        insert: Callable[[Appended[Sender]], list[AppendResult[Sender]]],
    ) -> CommitResult[Sender]:
        with self._transaction():
            results = insert(batch.appended)
            granted = [self._grant(claim) for claim in batch.claims]
            for key, (identity, seen_ns) in batch.seen.items():
                self._execute(_SEEN, (seen_ns, key, identity))
        return CommitResult(results, granted, self.first, self.last)

    def _insert_all(self, appended: Appended[Sender]) -> list[AppendResult[Sender]]:
        """Insert messages none of which is known, or raise ConstraintError."""
        entries = assign_ids(appended, self.last)
        for start in range(0, len(entries), MAX_ROWS):
            self._insert_together(entries[start : start + MAX_ROWS])
        return as_results(appended, entries)

    def _insert_together(self, entries: Sequence[Entry]) -> None:
        capacity = 1 << (len(entries) - 1).bit_length()
        values: list[object] = []
        for entry in entries:
            values += _row(entry)
        values += [None] * (capacity - len(entries)) * _ROW.count("?")
        values.append(len(entries))
        try:
            self._index.add(entries)
            self._execute(_insert_statement(capacity), values)
        except BaseException:
            self._index.roll_back(self.last)
            raise
        self.last += len(entries)

    def _insert_each(self, appended: Appended[Sender]) -> list[AppendResult[Sender]]:
        return [
            self._insert_one(message, sender)
            for messages, sender in appended
            for message in messages
        ]

    def _insert_one(self, message: NewMessage, sender: Sender | None) -> AppendResult[Sender]:
        if (
            message.ref is not None
            and (first := self._find(message.author, message.ref)) is not None
        ):
            return AppendResult("duplicate", [first], sender)
        entry = Entry(self.last + 1, message)
        self._execute(_INSERT, _row(entry))
        self.last += 1
        self._index.replace(entry)
        return AppendResult("stored", [entry], sender)

    def _find(self, author: int, ref: str) -> Entry | None:
        number = self._index.find(author, ref)
        if number is None:
            number = self._execute(_ID_OF, (author, ref)).get
        # What is not indexed may be forgotten already.
        row = self._execute(_BY_ID, (number,)).fetchone()
        return None if row is None else _entry(row)

    def _grant(self, claim: NameClaim) -> bool:
        new, old = claim.owner, claim.replacing
        if old is None:
            self._execute(_CLAIM_FREE, structs.astuple(new))
        else:
            row = (new.identity, new.token_hash, new.seen_ns, new.key)
            self._execute(_CLAIM_HELD, (*row, old.identity, old.token_hash))
        return self._connection.changes() == 1

    def _first_to_keep(self, retention: Retention, now_ns: int) -> int:
        """Return the oldest id to keep, looking no further than a slice ahead."""
        end = min(self.first + _TRIM_SLICE, self.last + 1)
        surplus = self.last - self.first + 1 - retention.messages
        if retention.messages and surplus > 0:
            return min(end, self.first + surplus)
        if retention.bytes and self.used_bytes() > retention.bytes:
            return end
        if retention.age_ns:
            bounds = (end, now_ns - retention.age_ns)
            too_old = self._value(_LAST_TOO_OLD, *bounds)
            return self.first if too_old is None else int(too_old) + 1
        return self.first

    @cached_property
    def _index(self) -> DeferredIndex:
        # Only for who writes; those who read have no use for it.
        return DeferredIndex(self._connection)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit what is done inside, or nothing of it."""
        first, last = self.first, self.last
        self._execute("BEGIN IMMEDIATE")
        try:
            yield
            self._execute("COMMIT")
        except BaseException:
            self.first, self.last = first, last
            if self._connection.in_transaction:
                self._execute("ROLLBACK")
            self._index.roll_back(last)
            raise

    def _note_wal(self, _connection: apsw.Connection, _schema: str, pages: int) -> int:
        self.wal_pages = pages
        return apsw.SQLITE_OK

    def _first(self) -> int:
        return int(self._value("SELECT first FROM log"))

    def _value(self, statement: str, *bindings: object) -> Any:
        return self._execute(statement, bindings).fetchall()[0][0]


@cache
def _insert_statement(capacity: int) -> str:
    """Return what inserts the first of `capacity` rows, of which there are a few sizes only.

    It raises ConstraintError for a ref that is in the index: such a row has no author.
    """
    number, author, *others, ref, anonymous = (f"column{one}" for one in range(1, 11))
    is_new = f"iif(known_ref.id IS NULL, {author}, NULL)"
    return (
        f"INSERT INTO entry ({_COLUMNS}) "
        f"SELECT {', '.join([number, is_new, *others, ref, anonymous])} "
        f"FROM (VALUES {','.join([_ROW] * capacity)}) "
        f"LEFT JOIN known_ref ON known_ref.author = {author} AND known_ref.ref = {ref} LIMIT ?"
    )


def _row(entry: Entry) -> tuple[Any, ...]:
    author, name, content, sent_ns, since, audience, to, ref, anonymous = structs.astuple(
        entry.message
    )
    recipient = recipient_of(audience)
    return entry.id, author, name, content, sent_ns, since, recipient, to, ref, anonymous


def _entry(row: Any) -> Entry:
    number, author, name, content, sent_ns, since, recipient, to, ref, anonymous = row
    audience = audience_of(recipient)
    message = NewMessage(author, name, content, sent_ns, since, audience, to, ref, bool(anonymous))
    return Entry(number, message)
