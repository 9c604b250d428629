"""The disk is full, or broken, and then it is not any more."""

import logging
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from chatd.log.port import NameOwner, StorageError
from chatd.log.retention import Retention
from tests.chatd.log.harness import ANN, BOB, fill, ids, new_message, open_sqlite, replayed
from tests.chatd.stand_ins import EPOCH_NS


class _Disk(apsw.VFS):
    """The file system of this machine, on which `error` can be had of every write or sync.

    No file can have more than `longest` bytes.
    """

    def __init__(self) -> None:
        self.longest = 2**60
        self.fault: type[apsw.Error] | None = None
        self.operation = "write"
        super().__init__("faulty disk", "unix", makedefault=True)

    def xOpen(  # noqa: N802
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> apsw.VFSFile:
        return _File(self, name, flags)

    def look(self, operation: str, end: int = 0) -> None:
        if end > self.longest:
            raise apsw.FullError(f"no room for {end} bytes")
        if self.fault is not None and operation == self.operation:
            raise self.fault(f"no {operation} possible")


class _File(apsw.VFSFile):
    def __init__(self, disk: _Disk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._disk.look("write", offset + len(data))
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.look("sync")
        super().xSync(flags)


@pytest.fixture
def disk() -> Iterator[_Disk]:
    """A disk that works, until a test says otherwise."""
    made = _Disk()
    yield made
    made.unregister()
    apsw.set_default_vfs("unix")


@pytest.mark.parametrize(
    ("error", "operation"),
    [(apsw.FullError, "write"), (apsw.IOError, "write"), (apsw.IOError, "sync")],
)
async def test_what_cannot_be_stored_is_reported_as_failed_and_nothing_of_it_is_there(
    tmp_path: Path, disk: _Disk, error: type[apsw.Error], operation: str
) -> None:
    disk.operation = operation
    async with open_sqlite(tmp_path, durability="power") as bench:
        await fill(bench, new_message(content="before", ref="r"))
        disk.fault = error
        await fill(bench, new_message(content="lost", ref="s"), new_message(content="lost too"))
        await fill(bench, new_message(content="lost as well"), new_message(ref="r"))
        failed = bench.reported[1:]
        assert {result.kind for result in failed} == {"failed"}
        assert {result.entry.id for result in failed} == {0}
        assert all(result.error for result in failed)
        assert [result.sender for result in failed] == ["origin 0", "origin 1"] * 2
        assert bench.log.last == 1
        assert ids(await replayed(bench, BOB, 0, 1)) == [1]


@pytest.mark.parametrize("error", [apsw.FullError, apsw.IOError])
async def test_it_goes_on_by_itself_as_soon_as_that_is_possible(
    tmp_path: Path, disk: _Disk, error: type[apsw.Error], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "chatd.log")
    async with open_sqlite(tmp_path) as bench:
        disk.fault = error
        await fill(bench, new_message(ref="r"))
        await fill(bench, new_message(ref="r"))
        disk.fault = None
        await fill(bench, new_message(ref="r"), new_message())
        kinds = [(result.kind, result.entry.id) for result in bench.reported]
        assert kinds == [("failed", 0), ("failed", 0), ("stored", 1), ("stored", 2)]
    # asyncio logs too, on a busy machine: how slow it is.
    ours = [record for record in caplog.records if record.name.startswith("chatd")]
    said = [record.getMessage().partition(":")[0] for record in ours]
    assert said == ["cannot store messages", "messages are stored again"]
    async with open_sqlite(tmp_path) as bench:
        assert bench.log.last == 2


async def test_a_name_that_cannot_be_stored_is_not_given_away(tmp_path: Path, disk: _Disk) -> None:
    ann = NameOwner("ann", ANN, b"a" * 32, EPOCH_NS)
    async with open_sqlite(tmp_path) as bench:
        disk.fault = apsw.FullError
        with pytest.raises(StorageError):
            await bench.log.claim(ann, None)
        disk.fault = None
        assert await bench.log.owner("ann") is None
        assert await bench.log.claim(ann, None)


async def test_who_was_seen_meanwhile_is_written_later(tmp_path: Path, disk: _Disk) -> None:
    async with open_sqlite(tmp_path) as bench:
        await bench.log.claim(NameOwner("ann", ANN, b"a" * 32, EPOCH_NS), None)
        disk.fault = apsw.FullError
        bench.log.record_seen("ann", ANN, EPOCH_NS + 7)
        await fill(bench, new_message())
        disk.fault = None
    async with open_sqlite(tmp_path) as bench:
        assert await bench.log.owner("ann") == NameOwner("ann", ANN, b"a" * 32, EPOCH_NS + 7)


async def test_a_log_on_a_full_disk_can_be_closed(tmp_path: Path, disk: _Disk) -> None:
    async with open_sqlite(tmp_path) as bench:
        await fill(bench, new_message())
        disk.fault = apsw.FullError
        bench.log.append([new_message()], "last")
        bench.log.record_seen("ann", ANN, EPOCH_NS)
    assert [result.kind for result in bench.reported] == ["stored", "failed"]
    disk.fault = None
    async with open_sqlite(tmp_path) as again:
        assert again.log.last == 1


async def test_old_messages_stay_until_they_can_be_forgotten(tmp_path: Path, disk: _Disk) -> None:
    async with open_sqlite(tmp_path) as bench:
        await fill(bench, *[new_message() for _ in range(9)])
    async with open_sqlite(tmp_path, Retention(messages=3)) as bench:
        await bench.commit()
        assert bench.log.first == 7
        disk.fault = apsw.FullError
        await fill(bench, new_message())
        assert (bench.log.first, bench.log.last) == (7, 9)
        disk.fault = None
        await fill(bench, new_message())
        assert (bench.log.first, bench.log.last) == (8, 10)


async def test_on_a_full_disk_what_is_forgotten_makes_room_for_what_comes(
    tmp_path: Path, disk: _Disk
) -> None:
    disk.longest = 400_000
    async with open_sqlite(tmp_path, Retention(messages=20)) as bench:
        while bench.log.last < 500:
            await fill(bench, new_message(content="x" * 4_000))
            assert bench.reported[-1].kind == "stored"
        assert bench.log.first == 481
