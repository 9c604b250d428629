"""Messages come into the indexes long after they are stored, and nobody can tell."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import apsw
import pytest

from chatd.messagelog.base import NewMessage, Retention
from chatd.messagelog.sqlite import group_commit, index
from chatd.messagelog.sqlite.open import FILE, open_database, open_to_read
from chatd.messagelog.sqlite.statements import CommitBatch, Database
from tests.support.fakes import EPOCH_NS
from tests.support.log_harness import (
    ANN,
    BOB,
    CAROL,
    Reported,
    each,
    fill,
    ids,
    new_message,
    open_sqlite,
    problems,
)

SEGMENT_SIZE = 10


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "SEGMENT_SIZE", SEGMENT_SIZE)
    monkeypatch.setattr(index, "ID_BLOCK_SIZE", 3)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty log."""
    opened = Database(open_database(tmp_path / FILE, "process"))
    yield opened
    opened.close()


def store(database: Database, *messages: NewMessage) -> list[Reported]:
    """Commit `messages`, and index what is due, as the log's thread does."""
    results = database.store(CommitBatch([(messages, "")], (), {})).results
    database.index()
    return each(results)


def direct_message(number: int) -> NewMessage:
    """Return a direct message from or to ann, who says some of them to herself."""
    author, recipient = ((ANN, BOB), (CAROL, ANN), (ANN, ANN))[number % 3]
    return new_message(author, f"{number}", recipient, f"ref {number}")


def counts(path: Path) -> dict[str, int]:
    """Return the newest id that is indexed, and how many rows the indexes have."""
    with closing(open_to_read(path)) as log:
        return {
            "filed": log.execute("SELECT filed FROM log").get,
            "refs": log.execute("SELECT count(*) FROM known_ref").get,
            "letters": log.execute("SELECT count(*) FROM bundle, json_each(ids)").get,
        }


def test_a_segment_is_indexed_while_the_next_one_fills(database: Database, tmp_path: Path) -> None:
    rows = []
    for number in range(2 * SEGMENT_SIZE):
        store(database, new_message(recipient=BOB, ref=f"{number}"))
        rows.append(tuple(counts(tmp_path / FILE).values()))
    nothing, refs, both, done = (0, 0, 0), (0, 10, 0), (0, 10, 20), (10, 10, 20)
    assert rows[SEGMENT_SIZE - 1] == nothing
    assert rows[2 * SEGMENT_SIZE - 1] == done
    assert list(dict.fromkeys(rows)) == [nothing, refs, both, done]


@pytest.mark.parametrize("later", range(0, 3 * SEGMENT_SIZE, 2))
def test_a_ref_is_known_however_long_ago_it_was_used(database: Database, later: int) -> None:
    first = new_message(ref="r")
    store(database, first, *[direct_message(number) for number in range(later)])
    (result,) = store(database, new_message(content="again", ref="r"))
    assert (result.kind, result.entry.id, result.entry.message) == ("duplicate", 1, first)
    (result,) = store(database, new_message(BOB, ref="r"))
    assert (result.kind, result.entry.id) == ("stored", later + 2)


def test_a_ref_that_is_used_twice_in_one_batch_is_stored_once(database: Database) -> None:
    results = store(database, new_message(ref="r"), new_message(ref="s"), new_message(ref="r"))
    assert [(one.kind, one.entry.id) for one in results] == [
        ("stored", 1),
        ("stored", 2),
        ("duplicate", 1),
    ]


@pytest.mark.parametrize("count", range(3, 4 * SEGMENT_SIZE, 5))
def test_direct_messages_are_found_wherever_they_are(database: Database, count: int) -> None:
    for number in range(count):
        store(
            database,
            direct_message(number),
            new_message(CAROL, "to all"),
            new_message(BOB, "for carol", CAROL),
        )
    history = database.history(ANN, 3 * count + 1, 10 * count)
    assert ids(history.entries) == [n for n in range(1, 3 * count + 1) if n % 3]
    assert not history.more
    received = database.replay(ANN, 0, 3 * count).entries
    assert ids(received) == [n for n in range(1, 3 * count + 1) if n % 3 == 2 or n % 9 in (4, 7)]


@pytest.mark.parametrize("kept", [SEGMENT_SIZE // 2, 2 * SEGMENT_SIZE, 5 * SEGMENT_SIZE])
@pytest.mark.parametrize("limit", [1, 4, SEGMENT_SIZE])
def test_history_is_read_page_by_page(database: Database, kept: int, limit: int) -> None:
    for number in range(5 * SEGMENT_SIZE - 3):
        store(database, direct_message(number), new_message(BOB, "for carol", CAROL))
        database.trim(Retention(messages=2 * kept), EPOCH_NS)
    read, before, more = list[int](), database.last + 1, True
    while more:
        page = database.history(BOB, before, limit)
        assert len(page.entries) == limit or not page.more
        read, before, more = [*ids(page.entries), *read], page.entries[0].id, page.more
    every = range(database.first, database.last + 1)
    assert read == [number for number in every if number % 2 == 0 or number % 6 == 1]


@pytest.mark.parametrize("reader", [ANN, 7], ids=["who reads all", "who has nothing to read"])
def test_a_page_of_history_costs_the_same_however_long_the_log_is(
    tmp_path: Path, reader: int
) -> None:
    connection = open_database(tmp_path / FILE, "process")
    database = Database(connection)
    few, many = [_steps_of_a_page(database, connection, reader) for _ in range(2)]
    assert database.last == 100 * SEGMENT_SIZE
    assert many < 1.2 * few
    database.close()


def _steps_of_a_page(database: Database, connection: apsw.Connection, reader: int) -> int:
    """Return how many steps SQLite takes for a page, after 50 segments more."""
    for _ in range(50 * SEGMENT_SIZE):
        store(database, direct_message(database.last))
    steps = count()
    connection.set_progress_handler(lambda: next(steps) < 0, 1)
    database.history(reader, database.last + 1, 5)
    connection.set_progress_handler(None)
    return next(steps)


@pytest.mark.parametrize("count", range(0, 3 * SEGMENT_SIZE, 4))
def test_a_log_goes_on_in_the_middle_of_indexing(tmp_path: Path, count: int) -> None:
    for half in range(2):
        database = Database(open_database(tmp_path / FILE, "process"))
        for number in range(half * count, count + half * count):
            store(database, direct_message(number))
        kinds = {one.kind for n in range(count) for one in store(database, direct_message(n))}
        assert kinds <= {"duplicate"}
        database.close()
    assert problems(tmp_path / FILE) == []


@pytest.mark.parametrize(
    "kept", [1, SEGMENT_SIZE // 2, SEGMENT_SIZE, 3 * SEGMENT_SIZE // 2, 3 * SEGMENT_SIZE]
)
def test_what_is_forgotten_leaves_the_indexes_too(
    database: Database, tmp_path: Path, kept: int
) -> None:
    for number in range(5 * SEGMENT_SIZE):
        store(database, direct_message(number))
        database.trim(Retention(messages=kept), EPOCH_NS)
    while database.index(is_idle=True):
        pass
    rows = counts(tmp_path / FILE)
    assert (rows["filed"], rows["refs"]) == (5 * SEGMENT_SIZE, kept)
    assert problems(tmp_path / FILE) == []
    (result,) = store(database, direct_message(0))
    assert (result.kind, result.entry.id) == ("stored", 5 * SEGMENT_SIZE + 1)


def test_what_could_not_be_stored_is_not_known(database: Database, tmp_path: Path) -> None:
    store(database, *[direct_message(number) for number in range(SEGMENT_SIZE)])
    while database.index(is_idle=True):
        pass
    # The first 512 are inserted before it turns out that the last is known.
    results = store(database, *[direct_message(number) for number in range(700, 0, -1)])
    assert [one.kind for one in results] == ["stored"] * 691 + ["duplicate"] * 9
    assert [one.entry.id for one in results[:691]] == [*range(SEGMENT_SIZE + 1, SEGMENT_SIZE + 692)]
    while database.index(is_idle=True):
        pass
    assert problems(tmp_path / FILE) == []


async def test_all_is_indexed_when_nobody_says_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MAINTENANCE_INTERVAL", 0.01)
    async with open_sqlite(tmp_path) as harness, asyncio.timeout(60):
        await fill(harness, *[direct_message(number) for number in range(SEGMENT_SIZE - 1)])
        while counts(tmp_path / FILE)["filed"] < SEGMENT_SIZE - 1:
            await harness.commit()
    assert counts(tmp_path / FILE)["refs"] == SEGMENT_SIZE - 1
