"""Retention and checkpoints of the log in SQLite: a little at a time, beside the commits."""

import logging
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from chatd.messagelog.base import DAY_NS, Retention
from chatd.messagelog.sqlite import checkpoint, statements
from chatd.messagelog.sqlite.open import FILE, open_database
from chatd.messagelog.sqlite.statements import CommitBatch, Database
from chatd.messagelog.sqlite.thread import DatabaseThread
from tests.support.fakes import EPOCH_NS
from tests.support.log_harness import BOB, CAROL, fill, ids, new_message, open_sqlite, replayed


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[Database]:
    """A log of 1,000 messages with everything that an index holds."""
    opened = Database(open_database(tmp_path / FILE, "process"))
    for half in range(2):
        messages = [
            new_message(recipient=BOB, ref=f"{half} {n}", content="x" * 100) for n in range(500)
        ]
        opened.store(CommitBatch([(messages, "")], [], {}))
    yield opened
    opened.close()


async def test_messages_are_forgotten_when_they_are_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow the machine is, one step is enough for them all.
    monkeypatch.setattr(statements, "TRIM_STEP", math.inf)
    async with open_sqlite(tmp_path, Retention(age_ns=DAY_NS)) as harness:
        await fill(harness, *[new_message() for _ in range(100)])
        harness.now_ns += DAY_NS
        await fill(harness, new_message())
        assert harness.log.first == 1
        harness.now_ns += 1
        await fill(harness, new_message())
        assert ids(await replayed(harness, BOB, 0, harness.log.last)) == []
        assert (harness.log.first, harness.log.last) == (103, 102)


async def test_a_smaller_limit_counts_from_the_next_start_on(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path) as harness:
        await fill(harness, *[new_message(recipient=CAROL, ref=f"{n}") for n in range(50)])
    async with open_sqlite(tmp_path, Retention(messages=10)) as harness:
        await harness.commit()
        assert (harness.log.first, harness.log.last) == (41, 50)
        assert len((await harness.log.history(CAROL, 100, 100)).entries) == 10


def test_the_database_takes_no_more_than_it_may(rows: Database) -> None:
    limit = Retention(bytes=128 * 1024)
    while rows.trim(limit, EPOCH_NS):
        pass
    kept = rows.last - rows.first + 1
    assert 100 < kept < 800
    assert rows.used_bytes() <= 128 * 1024


def test_a_step_is_small_and_says_whether_there_is_more(
    rows: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "TRIM_STEP", 0.0)
    steps = [rows.first]
    while rows.trim(Retention(messages=10), EPOCH_NS):
        steps.append(rows.first)
    assert steps == [*range(1, 990, 64)]
    assert rows.first == 991


def test_a_step_forgets_at_least_as_many_as_came(
    rows: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "TRIM_STEP", 0.0)
    assert rows.trim(Retention(messages=10), EPOCH_NS, at_least=500)
    assert rows.first == 513


def test_what_a_step_forgot_stays_forgotten(rows: Database, tmp_path: Path) -> None:
    rows.trim(Retention(messages=10), EPOCH_NS)
    again = Database(open_database(tmp_path / FILE, "process"))
    assert (again.first, again.last) == (rows.first, 1_000)
    assert ids(again.replay(BOB, 0, 1_000).entries) == list(range(rows.first, 1_001))
    again.close()


def test_without_a_limit_nothing_is_forgotten(rows: Database) -> None:
    assert not rows.trim(Retention(), EPOCH_NS + 1_000 * DAY_NS)
    assert rows.first == 1


PAGE = 4_096 + 24
"""Bytes of a page in the write-ahead log."""


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "MIN_PAGES", 50)
    monkeypatch.setattr(checkpoint, "MAX_PAGES", 200)


async def test_commits_go_to_the_database_while_the_log_is_open(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path) as harness:
        empty = (tmp_path / "log.sqlite").stat().st_size
        for _ in range(10_000):
            await fill(harness, new_message(recipient=BOB, content="x" * 4_000))
            if (tmp_path / "log.sqlite").stat().st_size > empty + 200_000:
                return
        pytest.fail("nothing was moved")


class StuckThread(DatabaseThread):
    """One that never moves the last pages, as under a load without a pause."""

    def submit(self, task: Callable[[Database], None]) -> None:
        task(StuckDatabase.__new__(StuckDatabase))


class StuckDatabase(Database):
    def checkpoint(self) -> int:
        return 0


def test_where_the_last_pages_are_never_moved_the_writer_does_it_and_it_begins_anew(
    tmp_path: Path,
) -> None:
    checkpointing = checkpoint.Checkpointer(StuckThread("late"))
    writer = Database(open_database(tmp_path / "log.sqlite", "process"))
    for number in range(600):
        message = new_message(recipient=BOB, content="x" * 4_000, ref=f"{number}")
        writer.store(CommitBatch([([message], "")], (), {}))
        checkpointing.after_commit(writer)
    assert writer.wal_pages < 300
    assert (tmp_path / "log.sqlite-wal").stat().st_size < 300 * PAGE
    writer.close()


async def test_when_it_cannot_be_emptied_that_is_said_once_and_commits_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_database: Database) -> int:
        raise apsw.IOError("no such luck")

    monkeypatch.setattr(Database, "checkpoint", fail)
    caplog.set_level(logging.WARNING, "chatd.messagelog")
    async with open_sqlite(tmp_path) as harness:
        for _ in range(300):
            await fill(harness, new_message(content="x" * 4_000))
        assert {result.kind for result in harness.reported} == {"stored"}
    # asyncio logs too, on a busy machine: how slow it is.
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("chatd")]
    assert logged == ["cannot checkpoint; the write-ahead log grows: no such luck"]
