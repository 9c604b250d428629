"""What the log in SQLite still knows when it is opened again."""

import asyncio
import shutil
from pathlib import Path

import pytest

from chatd.log.port import NameOwner, UnusableLogError
from chatd.log.retention import Retention
from chatd.log.sqlite import SqliteLog
from tests.chatd.log.harness import (
    ANN,
    BOB,
    SqliteHarness,
    each,
    fill,
    ids,
    new_message,
    open_sqlite,
    replayed,
)
from tests.chatd.stand_ins import EPOCH_NS


async def test_messages_their_order_and_the_name_of_the_log_last(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path) as harness:
        await fill(
            harness, new_message(content="one"), new_message(content="to bob", recipient=BOB)
        )
        name, entries = harness.log.name, [result.entry for result in harness.reported]
    async with open_sqlite(tmp_path) as harness:
        assert (harness.log.name, harness.log.first, harness.log.last) == (name, 1, 2)
        assert await replayed(harness, BOB, 0, 2) == entries
        await fill(harness, new_message())
        assert harness.reported[0].entry.id == 3


async def test_a_ref_is_known_again(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path) as harness:
        await fill(harness, new_message(ref="r"))
    async with open_sqlite(tmp_path) as harness:
        await fill(harness, new_message(ref="r", content="again"), new_message(ref="s"))
        assert [(o.kind, o.entry.id) for o in harness.reported] == [("duplicate", 1), ("stored", 2)]


async def test_an_owner_is_known_again_and_when_it_was_last_here(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path) as harness:
        await harness.log.claim(NameOwner("ann", ANN, b"a" * 32, EPOCH_NS), None)
        harness.log.record_seen("ann", ANN, EPOCH_NS + 7)
    async with open_sqlite(tmp_path) as harness:
        assert await harness.log.owner("ann") == NameOwner("ann", ANN, b"a" * 32, EPOCH_NS + 7)


async def test_ids_go_on_even_where_nothing_is_kept(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path, Retention(age_ns=1)) as harness:
        harness.now_ns += 10
        await fill(harness, new_message(), new_message())
        assert (harness.log.first, harness.log.last) == (3, 2)
    async with open_sqlite(tmp_path) as harness:
        assert (harness.log.first, harness.log.last) == (3, 2)
        await fill(harness, new_message())
        assert ids(await replayed(harness, BOB, 0, 3)) == [3]


async def test_what_was_reported_is_there_after_the_process_was_killed(tmp_path: Path) -> None:
    """A copy of the files, taken while the log is open, is what a kill leaves behind."""
    (tmp_path / "alive").mkdir()
    async with open_sqlite(tmp_path / "alive") as harness:
        for number in range(20):
            await fill(harness, new_message(ref=f"{number}"))
        shutil.copytree(tmp_path / "alive", tmp_path / "killed")
        reported = [result.entry for result in harness.reported]
    async with open_sqlite(tmp_path / "killed") as harness:
        assert await replayed(harness, BOB, 0, 20) == reported
        await fill(harness, new_message(ref="7"))
        assert (harness.reported[0].kind, harness.reported[0].entry.id) == ("duplicate", 8)


async def test_what_is_appended_while_a_commit_runs_is_one_batch(tmp_path: Path) -> None:
    sizes: list[int] = []
    harness = SqliteHarness(tmp_path, Retention())
    await harness.log.open(lambda results: sizes.append(len(each(results))))
    harness.log.append([new_message()], "first")
    await asyncio.sleep(0)  # the commit of the first is under way
    for number in range(2_000):
        harness.log.append([new_message()], f"{number}")
    await harness.log.close()
    assert sizes == [1, 2_000]


async def test_of_many_in_one_commit_each_ref_is_looked_up_if_one_is_known(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path) as harness:
        await fill(harness, new_message(ref="1200"))
        await fill(harness, *[new_message(ref=f"{number}") for number in range(2_000)])
        acks = [(result.kind, result.entry.id) for result in harness.reported[1:]]
    before, known, *rest = acks[1_199:]
    assert acks[:1_200] == [("stored", number) for number in range(2, 1_202)]
    assert (before, known) == (("stored", 1_201), ("duplicate", 1))
    assert rest == [("stored", number) for number in range(1_202, 2_001)]


async def test_a_directory_is_used_by_one_log_at_a_time(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path) as harness:
        await fill(harness, new_message())
        with pytest.raises(UnusableLogError, match=f"another chatd uses {tmp_path}; stop it, or"):
            await SqliteHarness(tmp_path, Retention()).log.open(lambda _outcomes: None)
        await fill(harness, new_message())
    async with open_sqlite(tmp_path) as harness:
        assert harness.log.last == 2


async def test_one_that_cannot_be_opened_lets_go_of_everything(tmp_path: Path) -> None:
    (tmp_path / "log.sqlite").write_bytes(b"not a database, but long enough to look like one" * 99)
    log: SqliteLog[str] = SqliteLog(tmp_path, "power", Retention(), lambda: EPOCH_NS)
    with pytest.raises(UnusableLogError):
        await log.open(lambda _outcomes: None)
    await log.close()
    (tmp_path / "log.sqlite").unlink()
    async with open_sqlite(tmp_path) as harness:
        assert harness.log.last == 0


@pytest.mark.parametrize(("durability", "synchronous"), [("process", 1), ("power", 2)])
async def test_a_level_of_durability_is_how_often_the_disk_is_waited_for(
    tmp_path: Path, durability: str, synchronous: int
) -> None:
    """What a power cut does cannot be tried here; what SQLite promises for each level can."""
    from chatd.log.opening import Durability, open_database

    level: Durability = "process" if durability == "process" else "power"
    database = open_database(tmp_path / "log.sqlite", level)
    assert database.pragma("synchronous") == synchronous
    assert database.pragma("journal_mode") == "wal"
    database.close()
