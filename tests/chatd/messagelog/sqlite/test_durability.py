"""What the log in SQLite still knows when it is opened again.

The disk is full, or broken, and then it is not any more.
"""

import asyncio
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from typing_extensions import Buffer

from chatd.messagelog.base import LogMetrics, NameOwner, Retention, StorageError, UnusableLogError
from chatd.messagelog.sqlite.log import SqliteLog
from chatd.messagelog.sqlite.open import Durability, open_database
from tests.support.fakes import EPOCH_NS
from tests.support.log_harness import (
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
        await harness.names.claim(NameOwner("ann", ANN, b"a" * 32, EPOCH_NS), None)
        harness.names.record_seen("ann", ANN, EPOCH_NS + 7)
    async with open_sqlite(tmp_path) as harness:
        assert await harness.names.owner("ann") == NameOwner("ann", ANN, b"a" * 32, EPOCH_NS + 7)


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
        with pytest.raises(
            UnusableLogError, match=f"another chatd is using {tmp_path}; stop it, or"
        ):
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
    level: Durability = "process" if durability == "process" else "power"
    database = open_database(tmp_path / "log.sqlite", level)
    assert database.pragma("synchronous") == synchronous
    assert database.pragma("journal_mode") == "wal"
    database.close()


class _FaultyDisk(apsw.VFS):
    """The file system of this machine, on which `error` can be had of every write or sync.

    No file can have more than `longest` bytes.
    """

    def __init__(self) -> None:
        self.longest = 2**60
        self.error: type[apsw.Error] | None = None
        self.operation = "write"
        super().__init__("faulty disk", "unix", makedefault=True)

    def xOpen(  # noqa: N802 - apsw's name
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> apsw.VFSFile:
        return _File(self, name, flags)

    def check(self, operation: str, end: int = 0) -> None:
        if end > self.longest:
            raise apsw.FullError(f"no room for {end} bytes")
        if self.error is not None and operation == self.operation:
            raise self.error(f"no {operation} possible")


class _File(apsw.VFSFile):
    def __init__(
        self, disk: _FaultyDisk, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> None:
        self._disk = disk
        super().__init__("unix", name, flags)

    def xWrite(self, data: Buffer, offset: int) -> None:  # noqa: N802 - apsw's name
        self._disk.check("write", offset + memoryview(data).nbytes)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - apsw's name
        self._disk.check("sync")
        super().xSync(flags)


@pytest.fixture
def disk() -> Iterator[_FaultyDisk]:
    """A disk that works, until a test says otherwise."""
    made = _FaultyDisk()
    yield made
    made.unregister()
    apsw.set_default_vfs("unix")


@pytest.mark.parametrize(
    ("error", "operation"),
    [(apsw.FullError, "write"), (apsw.IOError, "write"), (apsw.IOError, "sync")],
)
async def test_what_cannot_be_stored_is_reported_as_failed_and_nothing_of_it_is_there(
    tmp_path: Path, disk: _FaultyDisk, error: type[apsw.Error], operation: str
) -> None:
    disk.operation = operation
    async with open_sqlite(tmp_path, durability="power") as harness:
        await fill(harness, new_message(content="before", ref="r"))
        disk.error = error
        await fill(harness, new_message(content="lost", ref="s"), new_message(content="lost too"))
        await fill(harness, new_message(content="lost as well"), new_message(ref="r"))
        failed = harness.reported[1:]
        assert {result.kind for result in failed} == {"failed"}
        assert {result.entry.id for result in failed} == {0}
        assert all(result.error for result in failed)
        assert [result.sender for result in failed] == ["sender 0", "sender 1"] * 2
        assert harness.log.last == 1
        assert ids(await replayed(harness, BOB, 0, 1)) == [1]


@pytest.mark.parametrize("error", [apsw.FullError, apsw.IOError])
async def test_it_goes_on_by_itself_as_soon_as_that_is_possible(
    tmp_path: Path, disk: _FaultyDisk, error: type[apsw.Error], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "chatd.messagelog")
    async with open_sqlite(tmp_path) as harness:
        disk.error = error
        await fill(harness, new_message(ref="r"))
        await fill(harness, new_message(ref="r"))
        disk.error = None
        await fill(harness, new_message(ref="r"), new_message())
        kinds = [(result.kind, result.entry.id) for result in harness.reported]
        assert kinds == [("failed", 0), ("failed", 0), ("stored", 1), ("stored", 2)]
        assert harness.metrics == LogMetrics(commits=1, messages_committed=2, messages_failed=2)
    # asyncio logs too, on a busy machine: how slow it is.
    ours = [record for record in caplog.records if record.name.startswith("chatd")]
    logged = [record.getMessage().partition(":")[0] for record in ours]
    assert logged == ["cannot store messages", "messages are stored again"]
    async with open_sqlite(tmp_path) as harness:
        assert harness.log.last == 2


async def test_a_name_that_cannot_be_stored_is_not_given_away(
    tmp_path: Path, disk: _FaultyDisk
) -> None:
    ann = NameOwner("ann", ANN, b"a" * 32, EPOCH_NS)
    async with open_sqlite(tmp_path) as harness:
        disk.error = apsw.FullError
        with pytest.raises(StorageError):
            await harness.names.claim(ann, None)
        disk.error = None
        assert await harness.names.owner("ann") is None
        assert await harness.names.claim(ann, None)


async def test_who_was_seen_meanwhile_is_written_later(tmp_path: Path, disk: _FaultyDisk) -> None:
    async with open_sqlite(tmp_path) as harness:
        await harness.names.claim(NameOwner("ann", ANN, b"a" * 32, EPOCH_NS), None)
        disk.error = apsw.FullError
        harness.names.record_seen("ann", ANN, EPOCH_NS + 7)
        await fill(harness, new_message())
        disk.error = None
    async with open_sqlite(tmp_path) as harness:
        assert await harness.names.owner("ann") == NameOwner("ann", ANN, b"a" * 32, EPOCH_NS + 7)


async def test_a_log_on_a_full_disk_can_be_closed(tmp_path: Path, disk: _FaultyDisk) -> None:
    async with open_sqlite(tmp_path) as harness:
        await fill(harness, new_message())
        disk.error = apsw.FullError
        harness.log.append([new_message()], "last")
        harness.names.record_seen("ann", ANN, EPOCH_NS)
    assert [result.kind for result in harness.reported] == ["stored", "failed"]
    disk.error = None
    async with open_sqlite(tmp_path) as again:
        assert again.log.last == 1


async def test_old_messages_stay_until_they_can_be_forgotten(
    tmp_path: Path, disk: _FaultyDisk
) -> None:
    async with open_sqlite(tmp_path) as harness:
        await fill(harness, *[new_message() for _ in range(9)])
    async with open_sqlite(tmp_path, Retention(messages=3)) as harness:
        await harness.commit()
        assert harness.log.first == 7
        disk.error = apsw.FullError
        await fill(harness, new_message())
        assert (harness.log.first, harness.log.last) == (7, 9)
        disk.error = None
        await fill(harness, new_message())
        assert (harness.log.first, harness.log.last) == (8, 10)


async def test_on_a_full_disk_what_is_forgotten_makes_room_for_what_comes(
    tmp_path: Path, disk: _FaultyDisk
) -> None:
    disk.longest = 400_000
    async with open_sqlite(tmp_path, Retention(messages=20)) as harness:
        while harness.log.last < 500:
            await fill(harness, new_message(content="x" * 4_000))
            assert harness.reported[-1].kind == "stored"
        assert harness.log.first == 481
