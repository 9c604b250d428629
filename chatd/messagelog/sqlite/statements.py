"""The SQL statements of the log, as blocking calls, and what one commit stores and returns."""

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
    """A request to give a name to `owner` if `replacing` still owns it; None is nobody."""

    owner: NameOwner
    replacing: NameOwner | None


class CommitBatch(Struct, Generic[Sender], frozen=True):
    """What one commit stores: messages, claims to names, and when owners were online.

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
    """The results of all messages of a batch, and whether each claim was granted.

    `first` and `last` are those of the log after the commit.
    """

    results: Sequence[AppendResult[Sender]]
    granted: Sequence[bool]
    first: int
    last: int


TRIM_STEP: Final = 0.002
"""Seconds (s) after which a step of trimming ends, so that commits do not wait."""

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
# ID blocks find the messages of a reader, except the newest, which are not indexed yet.
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
    """Reads and writes the tables of `schema`; for one thread. Every call may raise apsw.Error."""

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
                # A statement is a transaction of its own. Waiting only once for the interpreter,
                # which the event loop holds meanwhile, saves 20 %.
                return CommitResult(self._insert_all(batch.appended), (), self.first, self.last)
            return self._store(batch, self._insert_all)
        except (KnownRefError, apsw.ConstraintError):
            # Some refs are known. That is rare, so only now each message is looked up.
            return self._store(batch, self._insert_each)

    def trim(self, retention: Retention, now_ns: int, at_least: int = 0) -> bool:
        """Delete the oldest messages that are not kept, for `TRIM_STEP` and at least `at_least`.

        Returns whether there is more to delete. `now_ns` is in ns since the Unix epoch.
        """
        if self._first_to_keep(retention, now_ns) == self.first:
            return False
        deadline, goal = time.monotonic() + TRIM_STEP, self.first + at_least
        # These commits do not sync; the next commit that does makes them durable too.
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
        """Index a part of what is not indexed; return whether there is more to do.

        A writer that `is_idle` does not wait until a whole segment can be indexed.
        """
        return self._index.step(self.last, is_idle=is_idle)

    def replay(self, reader: int, after: int, through: int) -> Page:
        """Return what was delivered to `reader` of the next ids after `after`, up to `through`."""
        start = max(after, self._first() - 1)
        position = min(through, start + _REPLAY_STEP)
        bounds = {"reader": reader, "after": start, "through": position}
        return Page([_entry(row) for row in self._execute(_REPLAY, bounds)], max(position, after))

    def history(self, reader: int, before: int, limit: int) -> HistorySlice:
        """Return the newest `limit` entries visible to `reader` with id < before."""
        bounds = {"reader": reader, "before": before, "limit": limit + 1}
        found = [_entry(row) for row in self._execute(_HISTORY, bounds)]
        return HistorySlice(found[:limit][::-1], more=len(found) > limit)

    def owner(self, key: str) -> NameOwner | None:
        """Return who owns the name with this key."""
        row = self._execute("SELECT * FROM holder WHERE key = ?", (key,)).fetchone()
        return None if row is None else NameOwner(*row)

    def used_bytes(self) -> int:
        """Return the size of tables and indexes in bytes, without free pages."""
        pages = self._connection.pragma("page_count") - self._connection.pragma("freelist_count")
        return int(pages * self._connection.pragma("page_size"))

    def checkpoint(self) -> int:
        """Move pages from the write-ahead log to the database; return how many are moved.

        They count from the start of the write-ahead log, which restarts once all are moved.
        Others may read and commit meanwhile; pages that they still need stay.
        """
        moved: Any = self._execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()[0][2]
        return int(moved)

    def earlier_epochs(self) -> Mapping[str, int]:
        """Return the newest common id by the name of each log that this one continues."""
        return epochs.earlier_epochs(self._connection)

    def close_epoch(self) -> None:
        """Sync everything that was committed; nothing more may be stored after this."""
        epochs.close_epoch(self._connection)

    def close(self) -> None:
        """Close the connection; the last one to close checkpoints the write-ahead log."""
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
        # The index may still have a message that is deleted.
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
        # Only the writer needs it.
        return DeferredIndex(self._connection)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit everything done inside, or nothing."""
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
    """Return the statement that inserts the first of `capacity` rows; there are few capacities.

    It raises ConstraintError for a ref that is in the index: such a row gets no author.
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
