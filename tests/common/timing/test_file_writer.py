"""Appending to time files, on files in memory that fill up, fail and tear as a test says."""

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.protocol.timestamps import format_time
from common.timing.file_format import direction
from common.timing.file_writer import TimeFileWriter
from tests.support.fakes import FakeDisk

SECOND = 1_000_000_000
START = 1_795_245_060 * SECOND
THERE = direction("192.0.2.1", "192.0.2.254")


def stamps(count: int, *, since: int = 0) -> list[str]:
    return [THERE + format_time(START + n * 10_000_000) for n in range(since, since + count)]


def record(disk: FakeDisk, *counts: int) -> TimeFileWriter:
    """Write one block with a batch of each of `counts` stamps, and close it."""
    writer = TimeFileWriter(disk)
    writer.start_block()
    for count in counts:
        writer.write(stamps(count))
    writer.end_block(SECOND, broken_off=False)
    return writer


def test_a_block_is_written_batch_by_batch_in_the_layout_of_the_format() -> None:
    disk = FakeDisk()
    writer = TimeFileWriter(disk)
    writer.start_block()
    writer.write(stamps(1))
    assert disk.text == (
        "Timestamp Data\n\n"
        "| # | Sender's IP | Receiver's IP | Date | Time |\n"
        "|---|-------------|---------------|------|------|\n"
        "| 1 | 192.0.2.1 | 192.0.2.254 | 2026-11-21 | 07:11:00.000000 |\n"
    )
    writer.write(stamps(1, since=1))
    writer.end_block(300 * SECOND, broken_off=False)
    assert disk.text.endswith(
        "| 2 | 192.0.2.1 | 192.0.2.254 | 2026-11-21 | 07:11:00.010000 |\n"
        "\nEnd of Timestamp Data (after 5 minutes)\n"
    )


def test_numbers_count_on_from_block_to_block_and_from_run_to_run() -> None:
    disk = FakeDisk()
    record(disk, 2, 3)
    record(disk, 4)
    assert disk.numbers() == list(range(1, 10))
    assert disk.text.count("\n\nTimestamp Data\n") == 1


def test_a_run_that_wrote_nothing_leaves_the_file_as_it_was() -> None:
    disk = FakeDisk()
    record(disk, 3)
    before = disk.text
    TimeFileWriter(disk).start_block()
    assert disk.text == before


def test_a_block_that_a_crash_left_open_is_closed_before_the_next_begins() -> None:
    disk = FakeDisk()
    crashed = TimeFileWriter(disk)
    crashed.start_block()
    crashed.write(stamps(3))
    record(disk, 2)
    broken, whole = disk.blocks()
    assert broken.end
    assert broken.end.broken_off
    assert whole.end
    assert not whole.end.broken_off
    assert disk.numbers() == [1, 2, 3, 4, 5]


@given(st.integers(0, 10**4), st.integers(0, 3), st.integers(1, 3))
def test_wherever_a_crash_cuts_the_file_the_next_run_loses_no_whole_row(
    cut: int, first: int, second: int
) -> None:
    whole = FakeDisk()
    record(whole, first, second)
    record(whole, 2)
    torn = FakeDisk(whole.getvalue()[:cut])
    complete = sum(line.startswith("| ") for line in torn.text.split("\n")[:-1])
    rows = complete - torn.text.count("\n| #")

    record(torn, 2)

    blocks = torn.blocks()
    assert all(block.end for block in blocks)
    assert not any(block.torn for block in blocks)
    # A row that lacks nothing but the end of its line is whole, too.
    assert len(torn.numbers()) - 2 in {rows, rows + 1}
    assert torn.numbers() == list(range(1, len(torn.numbers()) + 1))


def test_numbers_continue_after_many_empty_blocks() -> None:
    disk = FakeDisk()
    record(disk, 7)
    for _ in range(200):
        record(disk)
    record(disk, 1)
    assert disk.numbers() == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_file_that_is_no_time_file_is_refused_and_left_alone() -> None:
    letter = FakeDisk(b"Dear diary,\n")
    with pytest.raises(ValueError, match="Dear diary"):
        TimeFileWriter(letter)
    assert letter.text == "Dear diary,\n"


def test_writes_that_are_cut_short_are_continued() -> None:
    disk = FakeDisk(step=7)
    record(disk, 5)
    assert disk.numbers() == [1, 2, 3, 4, 5]


def test_on_a_full_disk_rows_are_lost_and_counted_and_only_whole_batches_stay() -> None:
    disk = FakeDisk()
    writer = TimeFileWriter(disk)
    writer.start_block()
    writer.write(stamps(3))
    kept = disk.text
    disk.capacity = len(kept) + 100  # a row and a half
    writer.write(stamps(4))
    assert disk.text == kept
    assert writer.lost == 4
    assert writer.error
    assert writer.error.errno == errno.ENOSPC


def test_when_the_disk_has_space_again_numbers_continue_without_a_gap() -> None:
    disk = FakeDisk()
    writer = TimeFileWriter(disk)
    writer.start_block()
    writer.write(stamps(3))
    disk.capacity = disk.tell()
    writer.write(stamps(4))
    writer.write(stamps(5))
    disk.capacity = 10**9
    writer.write(stamps(2))
    writer.end_block(SECOND, broken_off=False)
    assert disk.numbers() == [1, 2, 3, 4, 5]
    assert (writer.lost, writer.error) == (9, None)


def test_starts_and_ends_of_blocks_wait_for_space_and_are_not_lost() -> None:
    disk = FakeDisk()
    record(disk, 1)
    disk.capacity = disk.tell()
    writer = record(disk, 2)
    writer.start_block()
    disk.capacity = 10**9
    writer.write(stamps(3))
    writer.end_block(SECOND, broken_off=True)
    first, unwritten, last = disk.blocks()
    assert [len(block.rows) for block in (first, unwritten, last)] == [1, 0, 3]
    assert last.end
    assert last.end.broken_off
    assert writer.lost == 2


def test_on_a_device_that_takes_nothing_only_the_rows_are_lost() -> None:
    full = FakeDisk(capacity=0)
    full.cannot_truncate = True  # as a device does
    writer = record(full, 3, 4)
    assert writer.lost == 7
    assert full.text == ""


def test_a_partial_batch_is_cut_off_before_the_next_is_written() -> None:
    disk = FakeDisk()
    writer = TimeFileWriter(disk)
    writer.start_block()
    writer.write(stamps(1))
    disk.capacity = disk.tell() + 100
    disk.cannot_truncate = True
    writer.write(stamps(9))
    disk.capacity = 10**9
    writer.write(stamps(9))
    assert writer.lost == 18
    disk.cannot_truncate = False
    writer.write(stamps(1))
    writer.end_block(SECOND, broken_off=False)
    assert disk.numbers() == [1, 2]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 900)), max_size=20))
def test_however_a_disk_fills_and_empties_the_file_is_intact(
    batches: list[tuple[int, int]],
) -> None:
    disk = FakeDisk(step=50)
    writer = TimeFileWriter(disk)
    writer.start_block()
    asked = 0
    for count, free in batches:
        disk.capacity = len(disk.getvalue()) + free
        writer.write(stamps(count))
        asked += count
        assert not any(block.torn for block in disk.blocks())
    disk.capacity = 10**9
    writer.end_block(SECOND, broken_off=False)
    assert len(disk.numbers()) + writer.lost == asked
    assert disk.numbers() == list(range(1, len(disk.numbers()) + 1))
    assert all(block.end for block in disk.blocks())
