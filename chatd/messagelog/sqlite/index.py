"""Deferred indexes of the log: rows are added later, many at a time, grouped by author.

The rows of an author are in one page of an index. If a hundred authors send one message each, two
hundred pages of 4 KiB change for 20 KiB of messages; that took two thirds of the cost of storing
them. So messages are stored without index rows. Thousands of messages later the rows are added
page by page, those of one reader as one row, an ID block. Until then this module knows the refs of
the messages, and readers find them at the end of the table.
(Deferred as in a log-structured merge tree: O'Neil and others, 1996.)
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, repeat
from typing import Any, Final, TypeAlias

import apsw
import msgspec

from chatd.messagelog.base import Entry
from chatd.messagelog.sqlite.schema import (
    ALL_READERS,
    ID_BLOCK_SIZE,
    recipient_of,
    synchronous,
)

SEGMENT_SIZE: Final = 8_192
"""Messages that are indexed together: of each of 1,000 authors, eight for one page."""

ROWS_PER_STATEMENT: Final = 512
"""Rows that one statement indexes; the next commit waits some 2 ms for it."""

_UNINDEXED: Final = """
SELECT id, author, ref, recipient FROM entry WHERE id > (SELECT filed FROM log)
"""
# Messages deleted meanwhile are left out, and so are the empty rows that fill a statement up.
_INDEX_REFS: Final = f"""
INSERT OR IGNORE INTO known_ref SELECT * FROM (VALUES {",".join(["(?,?,?)"] * ROWS_PER_STATEMENT)})
WHERE column3 >= (SELECT first FROM log)
"""
_INDEX_ID_BLOCKS: Final = f"""
INSERT INTO bundle SELECT * FROM (VALUES {",".join(["(?,?,?)"] * ROWS_PER_STATEMENT)})
WHERE column2 >= (SELECT first FROM log)
"""
_SET_INDEXED_THROUGH: Final = "UPDATE log SET filed = ?"
_DELETE_REFS: Final = """
DELETE FROM known_ref WHERE (author, ref) IN
(SELECT author, ref FROM entry WHERE id < ? AND ref IS NOT NULL)
"""
_DELETE_ID_BLOCKS: Final = tuple(
    f"""
    DELETE FROM bundle WHERE (reader, last) IN
    (SELECT {reader}, id FROM entry WHERE id > ? AND id < ?)
    """
    for reader in ("author", f"coalesce(recipient, {ALL_READERS})")
)
_MAX_ID: Final = 2**63 - 1

_Statement: TypeAlias = tuple[str, Sequence[int | str | None]]
"""Its text and its bindings."""
_Message: TypeAlias = tuple[int, int, str | None, int | None]
"""Its id, author, ref and recipient."""
_Refs: TypeAlias = Mapping[int, Mapping[str, int]]
"""Ids by author and ref."""


def _message(entry: Entry) -> _Message:
    message = entry.message
    return entry.id, message.author, message.ref, recipient_of(message.audience)


class KnownRefError(Exception):
    """A ref was used before."""


class _Segment:
    """Messages that are indexed together: ids by author and ref, and by reader.

    They are grouped as they come: to group 8,192 at once would take 5 ms.
    """

    def __init__(self) -> None:
        self.refs: defaultdict[int, dict[str, int]] = defaultdict(dict)
        self.readers: defaultdict[int, list[int]] = defaultdict(list)

    def add(self, messages: Iterable[_Message], older: _Refs) -> None:
        """Add messages in the order of their ids; raise KnownRefError at a ref that is known."""
        for number, author, ref, recipient in messages:
            if ref is not None:
                refs = self.refs[author]
                if ref in refs or ref in older.get(author, ()):
                    raise KnownRefError
                refs[ref] = number
            if recipient is None:
                self.readers[ALL_READERS].append(number)
            else:
                self.readers[author].append(number)
                if recipient != author:
                    self.readers[recipient].append(number)

    def find(self, author: int, ref: str) -> int | None:
        refs = self.refs.get(author)
        return None if refs is None else refs.get(ref)

    def roll_back(self, last: int) -> None:
        for refs in self.refs.values():
            while refs and next(reversed(refs.values())) > last:
                refs.popitem()
        for numbers in self.readers.values():
            while numbers and numbers[-1] > last:
                numbers.pop()

    def statements(self) -> Iterator[_Statement]:
        """Yield the statements that index it; the rows of each are in few pages."""
        refs = (zip(repeat(author), refs, refs.values()) for author, refs in self.refs.items())
        yield from _statements_of(_INDEX_REFS, chain.from_iterable(refs))
        yield from _statements_of(_INDEX_ID_BLOCKS, self._id_blocks())

    def count(self) -> int:
        """Return how many statements these are."""
        refs = sum(map(len, self.refs.values()))
        id_blocks = sum(-(-len(numbers) // ID_BLOCK_SIZE) for numbers in self.readers.values())
        return -(-refs // ROWS_PER_STATEMENT) - (-id_blocks // ROWS_PER_STATEMENT)

    def _id_blocks(self) -> Iterator[tuple[int, int, str]]:
        for reader, numbers in self.readers.items():
            for start in range(0, len(numbers), ID_BLOCK_SIZE):
                ids = numbers[start : start + ID_BLOCK_SIZE]
                yield reader, ids[-1], msgspec.json.encode(ids).decode()


def _statements_of(statement: str, rows: Iterable[tuple[int | str, ...]]) -> Iterator[_Statement]:
    """Yield `statement` with each `ROWS_PER_STATEMENT` of rows, which have three columns."""
    size = 3 * ROWS_PER_STATEMENT
    values = chain.from_iterable(rows)
    while part := list(islice(values, size)):
        yield statement, (*part, *repeat(None, size - len(part)))


def indexed_ids_of(reader: str | int) -> str:
    """Return the SQL for the newest `:limit` ids below `:before` that are indexed for `reader`.

    The ID block around `:before` holds some of them, and those before it all others.
    """
    return f"""
    SELECT value AS id FROM bundle CROSS JOIN json_each(ids)
    WHERE reader = {reader} AND last <= (SELECT filed FROM log) AND value < :before
    AND last <= coalesce(
        (SELECT min(last) FROM bundle WHERE reader = {reader} AND last >= :before), :before
    )
    ORDER BY last DESC, value DESC LIMIT :limit
    """


def roll_back_unfinished(connection: apsw.Connection) -> None:
    """Delete the ID blocks of a segment that was not indexed completely; others replace them.

    To be called when a log is opened, before anything is indexed. May raise apsw.Error.
    """
    indexed_through = connection.execute("SELECT filed FROM log").get
    for statement in _DELETE_ID_BLOCKS:
        connection.execute(statement, (indexed_through, _MAX_ID))


class DeferredIndex:
    """Indexes the newest messages, and knows those that are not indexed yet.

    For the writer of the log. Methods that use the database may raise apsw.Error.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._open_segment = _Segment()
        self._sealed_segment = _Segment()
        self._sealed_through = self._read_indexed_through()
        """The newest id in the sealed segment; those behind it are in the open segment."""
        self._statements: Iterator[_Statement] = iter(())
        self._next: _Statement | None = None
        self._total = 0
        self._remaining = 0
        """Statements that index the sealed segment, and those of them that are still to be done."""
        unindexed: Any = connection.execute(_UNINDEXED)
        self._open_segment.add(unindexed, {})

    def find(self, author: int, ref: str) -> int | None:
        """Return the id of the message of this ref, if there is one that is not indexed."""
        return self._open_segment.find(author, ref) or self._sealed_segment.find(author, ref)

    def add(self, entries: Iterable[Entry]) -> None:
        """Note messages that are about to be stored.

        Raises KnownRefError at one whose ref is not new; then those before it are noted.
        """
        self._open_segment.add(map(_message, entries), self._sealed_segment.refs)

    def replace(self, entry: Entry) -> None:
        """Note a message that was stored, in place of the one that had its ref."""
        if entry.message.ref is not None:
            self._open_segment.refs[entry.message.author].pop(entry.message.ref, None)
        self._open_segment.add([_message(entry)], {})

    def roll_back(self, last: int) -> None:
        """Remove what was noted after `last`: its transaction was rolled back."""
        self._open_segment.roll_back(last)

    def delete(self, before: int) -> None:
        """Delete the messages with id < before from the indexes; they are still in the table."""
        self._connection.execute(_DELETE_REFS, (before,))
        for statement in _DELETE_ID_BLOCKS:
            self._connection.execute(statement, (0, before))

    def step(self, last: int, *, is_idle: bool) -> bool:
        """Index as much as was stored since the last step; return whether there is more to index.

        `last` is the newest id. A segment is indexed while the next one fills; a writer that
        `is_idle` does not wait for that.
        """
        if not self._remaining and last - self._sealed_through >= (1 if is_idle else SEGMENT_SIZE):
            self._seal(last)
        grown = last - self._sealed_through
        goal = self._remaining - 1 if is_idle else self._total - self._total * grown // SEGMENT_SIZE
        if self._remaining > max(goal, 0):
            # This commit does not sync; the next commit that does makes it durable too.
            with synchronous(self._connection, "NORMAL"):
                while self._remaining > max(goal, 0):
                    self._run_next_statement()
        return bool(self._remaining) or last > self._sealed_through

    def _seal(self, last: int) -> None:
        self._sealed_segment, self._open_segment = self._open_segment, _Segment()
        self._sealed_through = last
        self._statements = chain(
            self._sealed_segment.statements(), [(_SET_INDEXED_THROUGH, (last,))]
        )
        self._total = self._remaining = self._sealed_segment.count() + 1

    def _run_next_statement(self) -> None:
        if self._next is None:
            self._next = next(self._statements)
        self._connection.execute(*self._next)
        self._next = None
        self._remaining -= 1
        if not self._remaining:
            self._sealed_segment = _Segment()

    def _read_indexed_through(self) -> int:
        row: Any = self._connection.execute("SELECT filed FROM log").fetchall()[0]
        return int(row[0])
