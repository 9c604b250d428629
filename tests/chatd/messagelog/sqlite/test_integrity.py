"""What a look at the whole log finds, which may take its time.

A copy of a log that is in use.
"""

import shutil
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from chatd.messagelog.base import UnusableLogError
from chatd.messagelog.sqlite.maintenance import back_up
from chatd.messagelog.sqlite.open import FILE, open_to_read
from tests.support.log_harness import (
    BOB,
    fill,
    long_log,
    make_log,
    new_message,
    old_log,
    open_sqlite,
    overwrite,
    problems,
    replayed,
    tamper,
)


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
        (
            'UPDATE entry SET "to" = NULL WHERE id = 7',
            "message 7 has a recipient without a name, or a name without a recipient",
        ),
        ("DELETE FROM known_ref WHERE id = 7", "message 7 is not found by its ref"),
        (
            "UPDATE known_ref SET id = 8 WHERE id = 7",
            "the index has, for identity 1, the ref ref 00006 of message 8, which is missing or "
            "has another",
        ),
        (
            "DELETE FROM bundle WHERE reader = 1 AND last = 512",
            "the index lacks message 7 for identity 1",
        ),
        (
            "UPDATE bundle SET ids = '[' || substr(ids, 4) WHERE reader <> 1",
            f"the index lacks message 1 for identity {BOB}",
        ),
        (
            "UPDATE bundle SET reader = 5 WHERE reader = 1",
            "the index has message 7 for identity 5, which is missing or for others",
        ),
        (
            "INSERT INTO bundle VALUES (1, 7, '[6,7]')",
            "the index has message 7 for identity 1 more than once",
        ),
        (
            "UPDATE bundle SET last = last - 1",
            "the ID block up to message 511 of identity 1 ends with another one, or is obsolete",
        ),
        (
            "DELETE FROM entry WHERE id < 514; UPDATE log SET first = 514",
            "the ID block up to message 512 of identity 1 ends with another one, or is obsolete",
        ),
        (
            "UPDATE bundle SET ids = '[1'",
            "the ID block up to message 512 of identity 1 ends with another one, or is obsolete",
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
    assert problems(path) == [f"the index lacks message {number} for everyone" for number in (1, 3)]


def test_a_ref_that_was_stored_twice_is_reported(tmp_path: Path) -> None:
    path = long_log(tmp_path, 10)
    tamper(path, "UPDATE entry SET ref = 'r' WHERE id > 8")
    assert "identity 1 has used the ref r for 2 messages" in problems(path)


def test_a_page_that_was_overwritten_is_reported(tmp_path: Path) -> None:
    path = long_log(tmp_path)
    overwrite(path, 40 * 4_096, b"\xff" * 4_096)
    assert any("page 41" in line for line in problems(path))


async def test_it_holds_what_was_committed_and_goes_on_from_there(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async with open_sqlite(tmp_path) as harness:
        await fill(harness, *[new_message(ref=f"{number}") for number in range(50)])
        copy = tmp_path / "other" / FILE
        assert back_up(tmp_path / FILE, copy) == copy.stat().st_size
        await fill(harness, new_message(content="after the backup"))
        assert harness.log.last == 51
        name = harness.log.name
    async with open_sqlite(copy.parent, boot="another") as restored:
        assert restored.log.last == 50
        assert restored.log.earlier_epochs == {name: 50}
        await fill(restored, new_message(ref="7"), new_message(ref="new"))
        assert [(o.kind, o.entry.id) for o in restored.reported] == [
            ("duplicate", 8),
            ("stored", 51),
        ]
        assert len(await replayed(restored, BOB, 0, 51)) == 51


async def test_what_goes_on_from_it_is_another_log(tmp_path: Path) -> None:
    """Ids that were given since the backup are given again, to other messages."""
    (tmp_path / "other").mkdir()
    async with open_sqlite(tmp_path) as harness:
        back_up(tmp_path / FILE, tmp_path / "other" / FILE)
        name = harness.log.name
    async with open_sqlite(tmp_path / "other") as restored:
        assert restored.log.name != name
    async with open_sqlite(tmp_path) as harness:
        assert harness.log.name == name


def test_one_of_an_older_log_stays_as_old_as_that(tmp_path: Path) -> None:
    """Whoever wants to go back to the older chatd needs one that it can read."""
    (tmp_path / "backup").mkdir()
    path, copy = old_log(tmp_path), tmp_path / "backup" / FILE
    back_up(path, copy)
    with closing(open_to_read(path)) as original, closing(open_to_read(copy)) as backup:
        assert backup.pragma("user_version") == original.pragma("user_version") == 1
        assert names(backup) != names(original)


def names(log: apsw.Connection) -> object:
    return log.execute("SELECT name FROM log").fetchall()


def test_it_is_one_file_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    (tmp_path / "backup").mkdir()
    back_up(long_log(tmp_path), tmp_path / "backup" / "friday")
    assert [path.name for path in (tmp_path / "backup").iterdir()] == ["friday"]


async def test_it_is_not_mixed_with_what_is_left_of_another_log(tmp_path: Path) -> None:
    backup = tmp_path / "friday"
    async with open_sqlite(tmp_path) as harness:
        await fill(harness, new_message())
        back_up(tmp_path / FILE, backup)
        await fill(harness, new_message())
        shutil.copy(tmp_path / f"{FILE}-wal", tmp_path / "left over")
    shutil.copy(backup, tmp_path / FILE)
    (tmp_path / "left over").rename(tmp_path / f"{FILE}-wal")
    with pytest.raises(
        UnusableLogError, match=r"is a backup, but log\.sqlite-wal belongs to another log; move"
    ):
        async with open_sqlite(tmp_path):
            pass
    (tmp_path / f"{FILE}-wal").unlink()
    async with open_sqlite(tmp_path) as harness:
        assert harness.log.last == 1
        assert (tmp_path / f"{FILE}-wal").exists()


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "friday"
    target.write_text("the backup of last week")
    with pytest.raises(UnusableLogError, match=f"{target} already exists; name a new file"):
        back_up(long_log(tmp_path), target)
    assert target.read_text() == "the backup of last week"


def test_one_that_was_cut_short_does_not_look_like_one(tmp_path: Path) -> None:
    (tmp_path / "friday.unfinished").write_text("half a backup")
    back_up(long_log(tmp_path), tmp_path / "friday")
    assert not (tmp_path / "friday.unfinished").exists()


def test_without_a_log_there_is_no_backup(tmp_path: Path) -> None:
    with pytest.raises(UnusableLogError, match="does not exist; name the directory"):
        back_up(tmp_path / FILE, tmp_path / "friday")
    assert list(tmp_path.iterdir()) == []
