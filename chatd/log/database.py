"""The log's statements, as plain calls that block; one object for one thread."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import apsw

from chatd.log.port import Draft, Entry, Excerpt, Holder, Origin, Outcome, Page

_REPLAY_STEP: Final = 1_000
_TRIM_STEP: Final = 512

_COLUMNS: Final = 'author, name, content, sent_ns, since, recipient, "to", ref, nameless'
_INSERT: Final = f"INSERT OR IGNORE INTO entry (id, {_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?)"
_SELECT: Final = f"SELECT id, {_COLUMNS} FROM entry"
_BY_REF: Final = f"{_SELECT} WHERE author = ? AND ref = ?"
# One range of the table and one of the index, merged: no row of others' direct messages is sorted.
_REPLAY: Final = f"""
{_SELECT} WHERE id > :after AND id <= :through AND recipient IS NULL AND author <> :reader
UNION ALL
{_SELECT} WHERE recipient = :reader AND id > :after AND id <= :through
ORDER BY id
"""
_HISTORY: Final = f"""
SELECT * FROM ({_SELECT} WHERE id < :before AND recipient IS NULL ORDER BY id DESC LIMIT :limit)
UNION
SELECT * FROM ({_SELECT} WHERE id < :before AND recipient = :reader ORDER BY id DESC LIMIT :limit)
UNION
SELECT * FROM ({_SELECT} WHERE id < :before AND author = :reader AND recipient IS NOT NULL
               ORDER BY id DESC LIMIT :limit)
ORDER BY id DESC LIMIT :limit
"""
_HOLD: Final = "INSERT OR REPLACE INTO holder (key, identity, token_hash, seen_ns) VALUES (?,?,?,?)"
_TOUCH: Final = "UPDATE holder SET seen_ns = ? WHERE key = ? AND identity = ?"


class Database:
    """Reads and writes the tables of `chatd.log.schema`; every call may raise apsw.Error."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._execute: Callable[..., apsw.Cursor] = connection.execute
        self.name = str(self._value("SELECT name FROM log"))
        """Of this log."""
        self.first = int(self._value("SELECT coalesce(min(id), 1) FROM entry"))
        """The oldest id that is kept."""
        self.last = int(self._value("SELECT coalesce(max(id), 0) FROM entry"))
        """The newest id."""

    def append(self, batch: Sequence[tuple[Draft, Origin]], keep: int) -> list[Outcome[Origin]]:
        """Store `batch` in one transaction, and forget the oldest beyond `keep`.

        When it cannot be stored, nothing of it is, and the outcomes say so.
        """
        first, last = self.first, self.last
        try:
            self._execute("BEGIN IMMEDIATE")
            outcomes = [self._store(draft, origin) for draft, origin in batch]
            self._trim(keep, max(_TRIM_STEP, 2 * len(batch)))
            self._execute("COMMIT")
        except Exception as fault:
            self.first, self.last = first, last
            self._roll_back()
            return [
                Outcome("failed", Entry(0, draft), origin, str(fault)) for draft, origin in batch
            ]
        return outcomes

    def replay(self, reader: int, after: int, through: int) -> Page:
        """Return what reached `reader` of the next ids after `after`, up to `through`."""
        start = max(after, self._first() - 1)
        position = min(through, start + _REPLAY_STEP)
        bounds = {"reader": reader, "after": start, "through": position}
        return Page([_entry(row) for row in self._execute(_REPLAY, bounds)], max(position, after))

    def history(self, reader: int, before: int, limit: int) -> Excerpt:
        """Return the newest `limit` entries that concern `reader` with id < before."""
        bounds = {"reader": reader, "before": before, "limit": limit + 1}
        found = [_entry(row) for row in self._execute(_HISTORY, bounds)]
        return Excerpt(found[:limit][::-1], more=len(found) > limit)

    def holder(self, key: str) -> Holder | None:
        """Return who holds the name with this key."""
        row = self._execute("SELECT * FROM holder WHERE key = ?", (key,)).fetchone()
        return None if row is None else Holder(*row)

    def hold(self, holder: Holder) -> None:
        """Remember `holder`, in place of an earlier one of the same key."""
        row = (holder.key, holder.identity, holder.token_hash, holder.seen_ns)
        self._execute(_HOLD, row)

    def touch(self, key: str, identity: int, seen_ns: int) -> None:
        """Note that the holder was here; if another holds the name by now, nothing happens."""
        self._execute(_TOUCH, (seen_ns, key, identity))

    def close(self) -> None:
        """Let go of the file; the last to do so folds the write-ahead log into it."""
        self._connection.close()

    def _store(self, draft: Draft, origin: Origin) -> Outcome[Origin]:
        row = (
            self.last + 1,
            draft.author,
            draft.name,
            draft.content,
            draft.sent_ns,
            draft.since,
            draft.recipient,
            draft.to,
            draft.ref,
            draft.nameless,
        )
        self._execute(_INSERT, row)
        if draft.ref is not None and not self._connection.changes():
            first = self._execute(_BY_REF, (draft.author, draft.ref)).fetchone()
            return Outcome("duplicate", _entry(first), origin)
        self.last += 1
        return Outcome("stored", Entry(self.last, draft), origin)

    def _trim(self, keep: int, step: int) -> None:
        surplus = self.last - self.first + 1 - keep
        if surplus > 0:
            # In small steps, so that a smaller limit after a restart holds up no commit for long.
            self.first += min(surplus, step)
            self._execute("DELETE FROM entry WHERE id < ?", (self.first,))

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._execute("ROLLBACK")

    def _first(self) -> int:
        return int(self._value("SELECT coalesce(min(id), 1) FROM entry"))

    def _value(self, statement: str) -> Any:
        return self._execute(statement).fetchall()[0][0]


def _entry(row: Any) -> Entry:
    number, author, name, content, sent_ns, since, recipient, to, ref, nameless = row
    draft = Draft(author, name, content, sent_ns, since, recipient, to, ref, bool(nameless))
    return Entry(number, draft)
