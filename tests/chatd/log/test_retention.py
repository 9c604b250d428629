"""What the log in SQLite forgets, and that it does so a little at a time."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatd.log import database
from chatd.log.batch import CommitBatch
from chatd.log.database import Database
from chatd.log.opening import FILE, open_database
from chatd.log.retention import DAY_NS, Retention
from tests.chatd.log.harness import BOB, CAROL, fill, ids, new_message, open_sqlite, replayed
from tests.chatd.stand_ins import EPOCH_NS


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
    monkeypatch.setattr(database, "TRIM_STEP", math.inf)
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
    monkeypatch.setattr(database, "TRIM_STEP", 0.0)
    steps = [rows.first]
    while rows.trim(Retention(messages=10), EPOCH_NS):
        steps.append(rows.first)
    assert steps == [*range(1, 990, 64)]
    assert rows.first == 991


def test_a_step_forgets_at_least_as_many_as_came(
    rows: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "TRIM_STEP", 0.0)
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
