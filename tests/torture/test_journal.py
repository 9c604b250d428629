"""A journal whose writer may be killed at any moment."""

from pathlib import Path

import pytest

from tests.torture.journal import Acked, Began, Journal, Row, Seen, Sent, Troubled, read

ROWS: list[Row] = [
    Began(),
    Sent("ann.1", None),
    Sent("ann.2", "bob"),
    Acked("ann.1", 1, duplicate=True),
    Seen(3, "bob", "bob.1", is_direct=False),
    Troubled("a\nline"),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def write(path: Path, *rows: Row) -> None:
    with Journal(path) as journal:
        for row in rows:
            journal.write(row)


def test_what_was_written_is_read_by_the_checker_and_by_the_next_life(path: Path) -> None:
    write(path, *ROWS[:2])
    write(path, *ROWS[2:])

    assert read(path) == ROWS
    with Journal(path) as journal:
        assert journal.rows == ROWS


def test_a_row_is_there_before_the_writer_goes_on(path: Path) -> None:
    with Journal(path) as journal:
        for count, row in enumerate(ROWS, 1):
            journal.write(row)
            assert read(path) == ROWS[:count]


@pytest.mark.parametrize("length", range(1, 10))
def test_a_row_that_a_kill_cut_short_is_no_row(path: Path, length: int) -> None:
    write(path, ROWS[0], ROWS[1])
    whole = path.read_bytes()
    path.write_bytes(whole[:-length])

    assert read(path) == ROWS[:1]
    write(path, *ROWS[1:])
    assert read(path) == ROWS


def test_who_never_began_has_no_rows(path: Path) -> None:
    assert read(path) == []
