"""The thread that writes a time file: locked, batched, and never the reason that an exchange stops.

A batch interval of an hour shows what does not wait for the next batch.
"""

import asyncio
import fcntl
import io
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from chatctl.errors import UsageError
from chatctl.timestamp.measure import open_time_file
from common.protocol.timestamps import format_time
from common.system import time_file
from common.system.time_file import TimeFileThread
from common.timing.file_format import FileBlock, direction, parse_blocks
from tests.support.fakes import FakeDisk

EPOCH: Final = 1_795_245_060_000_000_000
THERE: Final = direction("192.0.2.1", "192.0.2.254")
TIMEOUT: Final = 60.0
HOUR: Final = 3_600.0
REPORT: Final = "cannot write {}: no space left on device; its rows are lost"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "client_1_TimeData.txt"


@pytest.fixture
def diary(path: Path) -> Path:
    """A file that is no time file."""
    path.write_text("Dear diary,\n")
    return path


@pytest.fixture
def locked(path: Path) -> Iterator[Path]:
    """A file that another program writes."""
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield path


@asynccontextmanager
async def opened(
    path: Path, notify: Callable[[str], object] = print, batch_interval: float = HOUR
) -> AsyncIterator[TimeFileThread]:
    file = TimeFileThread(path, batch_interval, notify)
    await file.open()
    try:
        yield file
    finally:
        await file.close()


def add_rows(file: TimeFileThread, count: int) -> None:
    for n in range(count):
        file.add(THERE + format_time(EPOCH + n))


async def write_block(path: Path, rows: int, *, is_ended: bool = True) -> tuple[int, list[str]]:
    """Write a block of so many rows; return how many were lost, and what was reported."""
    reported: list[str] = []
    async with opened(path, reported.append) as file:
        file.start_block()
        add_rows(file, rows)
        if is_ended:
            file.end_block(1_000_000_000, broken_off=False)
    return file.lost, reported


def blocks(path: Path) -> list[FileBlock]:
    return list(parse_blocks(io.StringIO(path.read_text())))


def numbers(path: Path) -> list[list[int]]:
    return [[row.number for row in block.rows] for block in blocks(path)]


class WatchedDisk(FakeDisk):
    """A disk that tells the loop after every write."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self.was_written = asyncio.Event()

    def write(self, content: bytes, /) -> int:  # type: ignore[override]  # as in FakeDisk
        written = super().write(content)
        self._loop.call_soon_threadsafe(self.was_written.set)
        return written

    def close(self) -> None:
        """Keep what was written."""

    async def wait_for(self, text: str) -> None:
        """Return when `text` is on the disk."""
        async with asyncio.timeout(TIMEOUT):
            while text not in self.text:
                await self.was_written.wait()
                self.was_written.clear()


@pytest.fixture
async def disk(monkeypatch: pytest.MonkeyPatch) -> WatchedDisk:
    """A disk in memory instead of the file."""
    made = WatchedDisk()
    monkeypatch.setattr(time_file, "open_locked", lambda _path: made)
    return made


@pytest.mark.parametrize("count", [0, 1, 1_023, 1_024, 1_025, 5_000])
async def test_closing_writes_everything_in_order(path: Path, count: int) -> None:
    assert await write_block(path, count) == (0, [])
    (block,) = blocks(path)
    expected = [(EPOCH + n) // 1_000 * 1_000 for n in range(count)]
    assert [row.at_ns for row in block.rows] == expected
    assert block.end


async def test_a_second_run_appends_a_block_and_counts_on(path: Path) -> None:
    await write_block(path, 2)
    await write_block(path, 3)
    assert numbers(path) == [[1, 2], [3, 4, 5]]


async def test_a_block_that_was_never_closed_is_closed_by_the_next_run(path: Path) -> None:
    await write_block(path, 2, is_ended=False)
    await write_block(path, 1)
    broken, _ = blocks(path)
    assert broken.end
    assert broken.end.broken_off


async def test_rows_are_written_while_the_block_is_open(disk: WatchedDisk) -> None:
    async with opened(Path("file"), batch_interval=0.001) as file:
        file.start_block()
        add_rows(file, 1)
        await disk.wait_for("| 1 |")
        add_rows(file, 1)
        await disk.wait_for("| 2 |")


async def test_the_end_of_a_block_does_not_wait_for_the_next_batch(disk: WatchedDisk) -> None:
    async with opened(Path("file")) as file:
        for seconds in (1, 2):
            file.start_block()
            add_rows(file, 3)
            file.end_block(seconds * 1_000_000_000, broken_off=False)
            await disk.wait_for(f"(after {seconds} second")


async def test_opening_twice_at_once_opens_one_file(path: Path) -> None:
    file = TimeFileThread(path, HOUR, print)
    await asyncio.gather(file.open(), file.open())
    await file.open()
    assert sum(thread.name == "time file" for thread in threading.enumerate()) == 1
    await file.close()
    await write_block(path, 1)


async def test_closing_what_was_never_opened_does_nothing(path: Path) -> None:
    await TimeFileThread(path, HOUR, print).close()
    await write_block(path, 1)


async def test_a_file_that_another_program_writes_is_refused(path: Path) -> None:
    async with opened(path):
        with pytest.raises(BlockingIOError, match="in use by another program"):
            await TimeFileThread(path, HOUR, print).open()
    await write_block(path, 1)


def test_a_file_with_something_else_in_it_is_refused_and_left_alone(diary: Path) -> None:
    with pytest.raises(ValueError, match=r"Dear diary.*not timestamp data: choose another file"):
        asyncio.run(TimeFileThread(diary, HOUR, print).open())
    assert diary.read_text() == "Dear diary,\n"
    diary.unlink()
    asyncio.run(write_block(diary, 1))


async def test_on_a_full_disk_rows_are_lost_counted_and_reported_once() -> None:
    assert await write_block(Path("/dev/full"), 5_000) == (
        5_000,
        [REPORT.format("/dev/full")],
    )


async def test_when_writing_works_again_that_is_reported_with_the_rows_lost(
    disk: WatchedDisk,
) -> None:
    reported: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def notify(text: str) -> None:
        loop.call_soon_threadsafe(reported.put_nowait, text)

    async with opened(Path("file"), notify) as file, asyncio.timeout(TIMEOUT):
        disk.capacity = 0
        file.start_block()
        add_rows(file, 7)
        file.end_block(1_000_000_000, broken_off=False)
        assert await reported.get() == REPORT.format("file")
        disk.capacity = 10**9
        file.start_block()
        add_rows(file, 2)
        file.end_block(1_000_000_000, broken_off=False)
        assert await reported.get() == "file can be written again; 7 rows were lost"
    assert disk.numbers() == [1, 2]


async def test_a_report_that_nobody_can_read_does_not_stop_the_thread(disk: WatchedDisk) -> None:
    def fail(_text: str) -> None:
        raise BrokenPipeError

    disk.capacity = 0
    async with opened(Path("file"), fail) as file:
        file.start_block()
        add_rows(file, 7)
    assert file.lost == 7


async def test_the_client_says_what_to_do_about_a_file_that_another_client_writes(
    locked: Path,
) -> None:
    with pytest.raises(UsageError, match="is being written by another client; wait for it"):
        async with open_time_file(locked, print):
            pass


async def test_the_client_says_what_to_do_about_a_file_with_something_else(diary: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot use .*Dear diary.*choose another file"):
        async with open_time_file(diary, print):
            pass


@pytest.mark.parametrize("name", ["no/such/folder.txt", "."])
async def test_the_client_names_a_path_that_cannot_be_written_with_the_reason(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(UsageError, match=r"cannot write .*(no such file|is a directory).*--out"):
        async with open_time_file(tmp_path / name, print):
            pass
