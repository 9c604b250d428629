"""Database files of the log, sound ones and others, without a daemon."""

import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import apsw

from chatd.log import schema
from chatd.log.batch import CommitBatch, NameClaim
from chatd.log.database import Database
from chatd.log.opening import FILE, open_database, open_to_read
from chatd.log.port import NameOwner, NewMessage
from chatd.log.soundness import check
from tests.chatd.log.harness import ANN, BOB, new_message


def make_log(directory: Path, messages: Sequence[NewMessage] = (), name: str = "ann") -> Path:
    """Make a log of `messages`, all of them indexed, and who has `name`; return its file."""
    path = directory / FILE
    database = Database(open_database(path, "process"))
    claim = NameClaim(NameOwner(name, ANN, b"a" * 32, 0), None)
    database.store(CommitBatch((), (claim,), {}))
    for start in range(0, len(messages), 500):
        database.store(CommitBatch([(messages[start : start + 500], None)], (), {}))
    while database.index(is_idle=True):
        pass
    database.close()
    return path


def long_log(directory: Path, count: int = 3_000) -> Path:
    """Make a log of `count` messages, in the table and in every index."""
    messages = [new_message(ANN, "x" * 200, BOB, f"ref {number:05}") for number in range(count)]
    return make_log(directory, messages)


def old_log(directory: Path, version: int = 1) -> Path:
    """Make a log with tables of an older version: a message for all, then 1,500 between two."""
    path = directory / FILE
    connection = apsw.Connection(os.fspath(path))
    schema.migrate(connection, schema.MIGRATIONS[:1])
    connection.execute(
        "INSERT INTO entry VALUES (1, 7, 'ann', 'old', 0, 3, NULL, NULL, 'a ref', 0)"
    )
    with connection:
        connection.executemany(
            "INSERT INTO entry VALUES (?, ?, 'ann', 'old', 0, 3, ?, 'bob', ?, 0)",
            ((number, 7 + number % 2, 7, f"ref {number}") for number in range(2, 1_502)),
        )
    schema.migrate(connection, schema.MIGRATIONS[:version])
    connection.close()
    return path


def problems(path: Path) -> list[str]:
    """Return all that is wrong with a log."""
    with closing(open_to_read(path)) as log:
        return list(check(log))


def tamper(path: Path, *statements: str) -> None:
    """Change a database behind the back of the log."""
    connection = apsw.Connection(os.fspath(path))
    for statement in statements:
        connection.execute(statement)
    connection.close()


def overwrite(path: Path, offset: int, content: bytes) -> None:
    """Write bytes into a file; a negative offset counts from its end."""
    with path.open("r+b") as file:
        file.seek(offset, os.SEEK_END if offset < 0 else os.SEEK_SET)
        file.write(content)
