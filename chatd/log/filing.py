"""The indexes of the log, which learn of messages later: many at a time, grouped by author.

A row of an index goes to the page of an author. Where a hundred authors say one message each, that
is two hundred pages of 4 KiB to rewrite beside 20 KiB of messages, and took two thirds of what it
cost to store them. So they are stored without; thousands later, their rows are brought in page by
page, and those of one reader as one row, a bundle. What is not filed yet is known here,
and found at the end of the table by those who read.
(Deferred as in a log-structured merge tree: O'Neil and others, 1996.)
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, repeat
from typing import Any, Final, TypeAlias

import apsw
import msgspec

from chatd.log.port import Entry
from chatd.log.schema import BUNDLE, EVERYONE
from chatd.log.syncing import synchronous

WINDOW: Final = 8_192
"""Messages that are filed together: of each of 1,000 authors, eight for one page."""

SLICE: Final = 512
"""Rows that one statement files; the next commit waits some 2 ms for it."""

_UNFILED: Final = """
SELECT id, author, ref, recipient FROM entry WHERE id > (SELECT filed FROM log)
"""
# What was forgotten meanwhile is left out, and so are the empty rows that fill a slice up.
_FILE_REFS: Final = f"""
INSERT OR IGNORE INTO known_ref SELECT * FROM (VALUES {",".join(["(?,?,?)"] * SLICE)})
WHERE column3 >= (SELECT first FROM log)
"""
_FILE_BUNDLES: Final = f"""
INSERT INTO bundle SELECT * FROM (VALUES {",".join(["(?,?,?)"] * SLICE)})
WHERE column2 >= (SELECT first FROM log)
"""
_FILED: Final = "UPDATE log SET filed = ?"
_FORGET_REFS: Final = """
DELETE FROM known_ref WHERE (author, ref) IN
(SELECT author, ref FROM entry WHERE id < ? AND ref IS NOT NULL)
"""
_FORGET_BUNDLES: Final = tuple(
    f"""
    DELETE FROM bundle WHERE (reader, last) IN
    (SELECT {reader}, id FROM entry WHERE id > ? AND id < ?)
    """
    for reader in ("author", f"coalesce(recipient, {EVERYONE})")
)
_BEHIND_ALL: Final = 2**63 - 1

_Statement: TypeAlias = tuple[str, Sequence[int | str | None]]
"""Its text and its bindings."""
_Message: TypeAlias = tuple[int, int, str | None, int | None]
"""Its id, author, ref and recipient."""
_Refs: TypeAlias = Mapping[int, Mapping[str, int]]
"""Ids by author and ref."""


def _message(entry: Entry) -> _Message:
    draft = entry.draft
    return entry.id, draft.author, draft.ref, draft.recipient


class KnownRefError(Exception):
    """A ref was used before."""


class _Window:
    """Messages that are filed together: ids by author and ref, and by reader.

    They are grouped as they come: to group 8,192 at once would take 5 ms.
    """

    def __init__(self) -> None:
        self.refs: defaultdict[int, dict[str, int]] = defaultdict(dict)
        self.readers: defaultdict[int, list[int]] = defaultdict(list)

    def note(self, messages: Iterable[_Message], older: _Refs) -> None:
        """Add messages by their ids; raise KnownRefError at a ref that is here or `older`."""
        for number, author, ref, recipient in messages:
            if ref is not None:
                refs = self.refs[author]
                if ref in refs or ref in older.get(author, ()):
                    raise KnownRefError
                refs[ref] = number
            if recipient is None:
                self.readers[EVERYONE].append(number)
            else:
                self.readers[author].append(number)
                if recipient != author:
                    self.readers[recipient].append(number)

    def find(self, author: int, ref: str) -> int | None:
        refs = self.refs.get(author)
        return None if refs is None else refs.get(ref)

    def take_back(self, last: int) -> None:
        for refs in self.refs.values():
            while refs and next(reversed(refs.values())) > last:
                refs.popitem()
        for numbers in self.readers.values():
            while numbers and numbers[-1] > last:
                numbers.pop()

    def statements(self) -> Iterator[_Statement]:
        """Yield what files it; each group of rows is for one page, or a few that are neighbours."""
        refs = (zip(repeat(author), refs, refs.values()) for author, refs in self.refs.items())
        yield from _slices(_FILE_REFS, chain.from_iterable(refs))
        yield from _slices(_FILE_BUNDLES, self._bundles())

    def count(self) -> int:
        """Return how many statements these are."""
        refs = sum(map(len, self.refs.values()))
        bundles = sum(-(-len(numbers) // BUNDLE) for numbers in self.readers.values())
        return -(-refs // SLICE) - (-bundles // SLICE)

    def _bundles(self) -> Iterator[tuple[int, int, str]]:
        for reader, numbers in self.readers.items():
            for start in range(0, len(numbers), BUNDLE):
                ids = numbers[start : start + BUNDLE]
                yield reader, ids[-1], msgspec.json.encode(ids).decode()


def _slices(statement: str, rows: Iterable[tuple[int | str, ...]]) -> Iterator[_Statement]:
    """Yield `statement` with each `SLICE` of rows, which have three columns."""
    size = 3 * SLICE
    values = chain.from_iterable(rows)
    while part := list(islice(values, size)):
        yield statement, (*part, *repeat(None, size - len(part)))


def filed_for(reader: str | int) -> str:
    """Return what selects the newest `:limit` ids below `:before` that are filed for `reader`.

    The bundle around `:before` holds some of them, and those before it all others.
    """
    return f"""
    SELECT value AS id FROM bundle CROSS JOIN json_each(ids)
    WHERE reader = {reader} AND last <= (SELECT filed FROM log) AND value < :before
    AND last <= coalesce(
        (SELECT min(last) FROM bundle WHERE reader = {reader} AND last >= :before), :before
    )
    ORDER BY last DESC, value DESC LIMIT :limit
    """


def take_back_unfinished(connection: apsw.Connection) -> None:
    """Take out the bundles of a window that was not filed to its end: others will take their place.

    For whoever goes on with a log, before anything is filed. May raise apsw.Error.
    """
    filed = connection.execute("SELECT filed FROM log").get
    for statement in _FORGET_BUNDLES:
        connection.execute(statement, (filed, _BEHIND_ALL))


class Filing:
    """Files the newest messages, and knows those that are not filed yet.

    For the one who writes to the log. What touches the database may raise apsw.Error.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._fresh = _Window()
        self._closed = _Window()
        self._end = self._filed()
        """The newest id in the closed window; those behind it are fresh."""
        self._statements: Iterator[_Statement] = iter(())
        self._next: _Statement | None = None
        self._size = 0
        self._left = 0
        """Statements that file the closed window, and those of them that are still to be done."""
        unfiled: Any = connection.execute(_UNFILED)
        self._fresh.note(unfiled, {})

    def find(self, author: int, ref: str) -> int | None:
        """Return the id of the message of this ref, if there is one that is not filed."""
        return self._fresh.find(author, ref) or self._closed.find(author, ref)

    def add(self, entries: Iterable[Entry]) -> None:
        """Note messages that are about to be stored.

        Raises KnownRefError at one whose ref is not new; then those before it are noted.
        """
        self._fresh.note(map(_message, entries), self._closed.refs)

    def add_anew(self, entry: Entry) -> None:
        """Note a message that was stored; whichever had its ref before is forgotten."""
        if entry.draft.ref is not None:
            self._fresh.refs[entry.draft.author].pop(entry.draft.ref, None)
        self._fresh.note([_message(entry)], {})

    def take_back(self, last: int) -> None:
        """Forget what was noted behind `last`: it was not stored after all."""
        self._fresh.take_back(last)

    def forget(self, before: int) -> None:
        """Take the messages with id < before out of the indexes; they are still in the table."""
        self._connection.execute(_FORGET_REFS, (before,))
        for statement in _FORGET_BUNDLES:
            self._connection.execute(statement, (0, before))

    def step(self, last: int, *, is_idle: bool) -> bool:
        """File as much as came since the last step; return whether there is more to file.

        `last` is the newest id. A window is filed while the next one fills; who `is_idle` does not
        wait for that.
        """
        if not self._left and last - self._end >= (1 if is_idle else WINDOW):
            self._close(last)
        grown = last - self._end
        goal = self._left - 1 if is_idle else self._size - self._size * grown // WINDOW
        if self._left > max(goal, 0):
            # This does not wait for the disk; the next commit that does waits for it too.
            with synchronous(self._connection, "NORMAL"):
                while self._left > max(goal, 0):
                    self._file()
        return bool(self._left) or last > self._end

    def _close(self, last: int) -> None:
        self._closed, self._fresh = self._fresh, _Window()
        self._end = last
        self._statements = chain(self._closed.statements(), [(_FILED, (last,))])
        self._size = self._left = self._closed.count() + 1

    def _file(self) -> None:
        if self._next is None:
            self._next = next(self._statements)
        self._connection.execute(*self._next)
        self._next = None
        self._left -= 1
        if not self._left:
            self._closed = _Window()

    def _filed(self) -> int:
        row: Any = self._connection.execute("SELECT filed FROM log").fetchall()[0]
        return int(row[0])
