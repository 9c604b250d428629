"""What a look at the whole log finds, which may take its time."""

from pathlib import Path

import pytest

from tests.chatd.log.files import long_log, make_log, overwrite, problems, tamper
from tests.chatd.log.harness import BOB, new_message


@pytest.mark.parametrize("count", [0, 1, 1_000])
def test_an_intact_log_is_intact(tmp_path: Path, count: int) -> None:
    assert problems(long_log(tmp_path, count)) == []


def test_a_log_of_which_the_oldest_were_forgotten_is_intact(tmp_path: Path) -> None:
    path = long_log(tmp_path, 1_000)
    gone = "DELETE FROM entry WHERE id < {0}; DELETE FROM known_ref WHERE id < {0}"
    tamper(path, gone.format(51), "UPDATE log SET first = 51")
    assert problems(path) == []
    tamper(path, gone.format(1_001), "DELETE FROM bundle", "UPDATE log SET first = 1001")
    assert problems(path) == []


def test_a_log_whose_newest_are_not_indexed_is_intact(tmp_path: Path) -> None:
    path = long_log(tmp_path, 1_000)
    tamper(path, "UPDATE log SET filed = 512")
    assert problems(path) == []
    tamper(path, "DELETE FROM known_ref WHERE id > 600", "DELETE FROM bundle WHERE last > 512")
    assert problems(path) == []


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
            "DELETE FROM bundle WHERE reader = 1 AND last = 512",
            "message 7 is not found by identity 1, who said it or is to read it",
        ),
        (
            "UPDATE bundle SET ids = '[' || substr(ids, 4) WHERE reader <> 1",
            f"message 1 is not found by identity {BOB}, who said it or is to read it",
        ),
        (
            "UPDATE bundle SET reader = 5 WHERE reader = 1",
            "the index has message 7 for identity 5, and it is not for them or is missing",
        ),
        (
            "INSERT INTO bundle VALUES (1, 7, '[6,7]')",
            "the index has message 7 for identity 1 more than once",
        ),
        (
            "UPDATE bundle SET last = last - 1",
            "the bundle of messages up to 511 of identity 1 does not end with that, "
            "or is of no use",
        ),
        (
            "DELETE FROM entry WHERE id < 514; UPDATE log SET first = 514",
            "the bundle of messages up to 512 of identity 1 does not end with that, "
            "or is of no use",
        ),
        (
            "UPDATE bundle SET ids = '[1'",
            "the bundle of messages up to 512 of identity 1 does not end with that, "
            "or is of no use",
        ),
        ("UPDATE holder SET token_hash = 'x'", "the token of ann is no SHA-256"),
    ],
)
def test_what_does_not_fit_together_is_reported(tmp_path: Path, harm: str, finding: str) -> None:
    path = long_log(tmp_path, 1_000)
    tamper(path, "PRAGMA ignore_check_constraints = ON", harm.replace("'x'", "x'00'"))
    assert finding in problems(path)


def test_a_message_to_everyone_that_nobody_finds_is_reported(tmp_path: Path) -> None:
    path = make_log(tmp_path, [new_message(), new_message(recipient=BOB), new_message()])
    assert problems(path) == []
    tamper(path, "DELETE FROM bundle WHERE reader = 0")
    assert problems(path) == [
        f"message {number} is not found by everyone, who said it or is to read it"
        for number in (1, 3)
    ]


def test_a_ref_that_was_stored_twice_is_reported(tmp_path: Path) -> None:
    path = long_log(tmp_path, 10)
    tamper(path, "UPDATE entry SET ref = 'r' WHERE id > 8")
    assert "identity 1 has used the ref r for 2 messages" in problems(path)


def test_a_page_that_was_overwritten_is_reported(tmp_path: Path) -> None:
    path = long_log(tmp_path)
    overwrite(path, 40 * 4_096, b"\xff" * 4_096)
    assert any("page 41" in line for line in problems(path))
