"""The client's file: locked, batched, and never the reason that an exchange stops."""

import fcntl
import io
from pathlib import Path

import pytest

from chatctl.errors import UsageError
from chatctl.timestamp.time_file import ClientTimeFile
from common.protocol.timestamps import format_time
from common.timing.file_format import FileBlock, direction, parse_blocks

EPOCH = 1_795_245_060_000_000_000
THERE = direction("192.0.2.1", "192.0.2.254")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "client_1_TimeData.txt"


def write_block(
    path: Path, rows: int, *, is_ended: bool = True
) -> tuple[ClientTimeFile, list[str]]:
    """Write a block of so many rows; return the file, and what it reported."""
    reported: list[str] = []
    with ClientTimeFile(path, reported.append) as file:
        file.start_block()
        for n in range(rows):
            file.add(THERE + format_time(EPOCH + n))
        if is_ended:
            file.end_block(1_000_000_000, broken_off=False)
    return file, reported


def blocks(path: Path) -> list[FileBlock]:
    return list(parse_blocks(io.StringIO(path.read_text())))


def test_everything_is_in_the_file_in_order_when_it_is_closed(path: Path) -> None:
    file, reported = write_block(path, 1_000)
    (block,) = blocks(path)
    assert [row.at_ns for row in block.rows] == [(EPOCH + n) // 1_000 * 1_000 for n in range(1_000)]
    assert block.end
    assert (file.rows_lost, reported) == (0, [])


def test_a_second_run_appends_a_block_and_counts_on(path: Path) -> None:
    write_block(path, 2)
    write_block(path, 3)
    assert [[row.number for row in block.rows] for block in blocks(path)] == [[1, 2], [3, 4, 5]]


def test_a_block_that_was_never_closed_is_closed_by_the_next_run(path: Path) -> None:
    write_block(path, 2, is_ended=False)
    write_block(path, 1)
    broken, _ = blocks(path)
    assert broken.end
    assert broken.end.broken_off


def test_a_file_that_another_client_writes_is_refused_with_advice(path: Path) -> None:
    with (
        ClientTimeFile(path, print),
        pytest.raises(UsageError, match="by another client; wait for it"),
    ):
        ClientTimeFile(path, print)
    write_block(path, 1)


def test_a_file_that_a_server_writes_is_refused_too(path: Path) -> None:
    with path.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="is being written by another"):
            ClientTimeFile(path, print)


def test_a_file_with_something_else_in_it_is_refused_and_left_alone(path: Path) -> None:
    path.write_text("Dear diary,\n")
    with pytest.raises(UsageError, match=r"Dear diary.*not timestamp data: choose another file"):
        ClientTimeFile(path, print)
    assert path.read_text() == "Dear diary,\n"
    path.unlink()
    write_block(path, 1)


@pytest.mark.parametrize("name", ["no/such/folder.txt", "."])
def test_a_path_that_cannot_be_written_is_named_with_the_reason(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"cannot write .*(no such file|is a directory).*--out"):
        ClientTimeFile(tmp_path / name, print)


def test_on_a_full_disk_rows_are_lost_counted_and_reported_once() -> None:
    file, reported = write_block(Path("/dev/full"), 500)
    assert file.rows_lost == 500
    assert reported == [
        "cannot write /dev/full: no space left on device; the exchange goes on without"
    ]
