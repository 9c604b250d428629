"""What a look at the whole log finds, which may take its time."""

from pathlib import Path

import pytest

from chatd.log.opening import open_to_read
from chatd.log.soundness import findings
from tests.chatd.log.files import doctor, long_log, overwrite


def found(path: Path) -> list[str]:
    log = open_to_read(path)
    try:
        return list(findings(log))
    finally:
        log.close()


@pytest.mark.parametrize("count", [0, 1, 1_000])
def test_a_sound_log_is_sound(tmp_path: Path, count: int) -> None:
    assert found(long_log(tmp_path, count)) == []


def test_a_log_of_which_the_oldest_were_forgotten_is_sound(tmp_path: Path) -> None:
    path = long_log(tmp_path, 100)
    tables = ("entry", "known_ref", "letter")
    doctor(path, *(f"DELETE FROM {table} WHERE id < 51" for table in tables))
    doctor(path, "UPDATE log SET first = 51")
    assert found(path) == []
    doctor(path, *(f"DELETE FROM {table}" for table in tables), "UPDATE log SET first = 101")
    assert found(path) == []


def test_a_log_whose_newest_are_not_filed_is_sound(tmp_path: Path) -> None:
    path = long_log(tmp_path, 100)
    doctor(path, "UPDATE log SET filed = 50")
    assert found(path) == []
    doctor(path, "DELETE FROM known_ref WHERE id > 60", "DELETE FROM letter WHERE id > 70")
    assert found(path) == []


@pytest.mark.parametrize(
    ("harm", "finding"),
    [
        ("DELETE FROM log", "the table log has 0 rows instead of one"),
        (
            "DELETE FROM entry WHERE id = 500",
            "there are 999 messages with ids from 1 to 1000, where each id should be there",
        ),
        (
            "DELETE FROM entry WHERE id = 1",
            "there are 999 messages with ids from 1 to 1000, where each id should be there",
        ),
        ("UPDATE log SET first = 2", "message 1 is older than the first that is kept, 2"),
        ('UPDATE entry SET "to" = NULL WHERE id = 7', "message 7 has half a recipient"),
        ("DELETE FROM known_ref WHERE id = 7", "message 7 is not found by its ref"),
        (
            "UPDATE known_ref SET id = 8 WHERE id = 7",
            "the index has for identity 1 the ref ref 00006 of message 8, which has another "
            "or is missing",
        ),
        (
            "DELETE FROM letter WHERE id = 7 AND reader = 1",
            "message 7 is not found by who said it or who is to read it",
        ),
        (
            "INSERT INTO letter VALUES (5, 7)",
            "the index has for identity 5 message 7, which is no direct one of theirs "
            "or is missing",
        ),
        ("UPDATE holder SET token_hash = 'x'", "the token of ann is no SHA-256"),
    ],
)
def test_what_does_not_fit_together_is_told(tmp_path: Path, harm: str, finding: str) -> None:
    path = long_log(tmp_path, 1_000)
    doctor(path, "PRAGMA ignore_check_constraints = ON", harm.replace("'x'", "x'00'"))
    assert finding in found(path)


def test_a_ref_that_was_stored_twice_is_told(tmp_path: Path) -> None:
    path = long_log(tmp_path, 10)
    doctor(path, "UPDATE entry SET ref = 'r' WHERE id > 8")
    assert "identity 1 has used the ref r for 2 messages" in found(path)


def test_a_page_that_was_overwritten_is_told(tmp_path: Path) -> None:
    path = long_log(tmp_path)
    overwrite(path, 40 * 4_096, b"\xff" * 4_096)
    assert any("page 41" in line for line in found(path))
