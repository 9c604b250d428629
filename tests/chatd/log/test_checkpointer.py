"""The write-ahead log is emptied beside the commits, and does not grow for ever."""

import logging
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from chatd.log import checkpointer
from chatd.log.batch import CommitBatch
from chatd.log.database import Database
from chatd.log.opening import open_database
from chatd.log.worker import Worker
from tests.chatd.log.harness import BOB, fill, new_message, open_sqlite

PAGE = 4_096 + 24
"""Bytes of a page in the write-ahead log."""


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpointer, "MIN_PAGES", 50)
    monkeypatch.setattr(checkpointer, "MAX_PAGES", 200)


async def test_commits_go_to_the_database_while_the_log_is_open(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path) as harness:
        empty = (tmp_path / "log.sqlite").stat().st_size
        for _ in range(10_000):
            await fill(harness, new_message(recipient=BOB, content="x" * 4_000))
            if (tmp_path / "log.sqlite").stat().st_size > empty + 200_000:
                return
        pytest.fail("nothing was moved")


class StuckWorker(Worker):
    """One that never moves the last pages, as under a load without a pause."""

    def submit(self, task: Callable[[Database], None]) -> None:
        task(StuckDatabase.__new__(StuckDatabase))


class StuckDatabase(Database):
    def checkpoint(self) -> int:
        return 0


def test_where_the_last_pages_are_never_moved_the_writer_does_it_and_it_begins_anew(
    tmp_path: Path,
) -> None:
    checkpointing = checkpointer.Checkpointer(StuckWorker("late"))
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
    caplog.set_level(logging.WARNING, "chatd.log")
    async with open_sqlite(tmp_path) as harness:
        for _ in range(300):
            await fill(harness, new_message(content="x" * 4_000))
        assert {result.kind for result in harness.reported} == {"stored"}
    # asyncio logs too, on a busy machine: how slow it is.
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("chatd")]
    assert logged == ["the write-ahead log cannot be emptied, and grows: no such luck"]
