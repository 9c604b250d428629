"""Whether the file of a log is one to go on with: what is refused, and in which words."""

import logging
import os
import re
from pathlib import Path

import pytest

from chatd.messagelog.base import UnusableLogError
from chatd.messagelog.sqlite import integrity
from chatd.messagelog.sqlite.open import FILE, open_database, open_to_read
from chatd.messagelog.sqlite.schema import MIGRATIONS, WITH_DEFERRED_INDEX
from chatd.messagelog.sqlite.statements import CommitBatch, Database
from tests.support.log_harness import (
    BOB,
    each,
    ids,
    long_log,
    make_log,
    new_message,
    old_log,
    overwrite,
    problems,
    tamper,
)


def refusal(path: Path) -> str:
    """Return why the log at `path` is refused; its file must not change by that."""
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(UnusableLogError) as refused:
        open_database(path, "process")
    assert (path.read_bytes() if path.exists() else None) == before
    assert "\n" not in str(refused.value)
    return str(refused.value)


def quick_check(path: Path) -> str:
    """Return what was found in a damaged file, the advice left out."""
    detail = refusal(path)
    assert detail.startswith(f"{path} is damaged: ")
    assert detail.endswith(
        ". Restore a backup, or move it away (and log.sqlite-wal) to start a new log"
    )
    return detail.removeprefix(f"{path} is damaged: ").partition(". Restore")[0]


class TestDamage:
    def test_an_intact_log_is_opened(self, tmp_path: Path) -> None:
        database = Database(open_database(long_log(tmp_path), "process"))
        assert (database.first, database.last) == (1, 3_000)
        database.close()

    def test_an_empty_file_is_never_taken_for_a_new_log(self, tmp_path: Path) -> None:
        path = tmp_path / FILE
        path.touch()
        assert quick_check(path) == "it is empty"

    @pytest.mark.parametrize("kept", [100, 4_096, 5_000, 100_000])
    def test_a_file_that_was_cut_is_refused(self, tmp_path: Path, kept: int) -> None:
        path = long_log(tmp_path)
        os.truncate(path, kept)
        assert quick_check(path) in ("file is not a database", "database disk image is malformed")

    def test_a_file_that_lacks_its_last_page_is_refused(self, tmp_path: Path) -> None:
        path = long_log(tmp_path)
        os.truncate(path, path.stat().st_size - 4_096)
        assert quick_check(path)

    def test_a_page_that_was_overwritten_is_found(self, tmp_path: Path) -> None:
        path = long_log(tmp_path)
        overwrite(path, 40 * 4_096, b"\xff" * 4_096)
        assert "page 41" in quick_check(path)

    def test_a_header_that_was_overwritten_is_found(self, tmp_path: Path) -> None:
        path = long_log(tmp_path)
        overwrite(path, 0, b"\0" * 100)
        assert quick_check(path) == "file is not a database"

    def test_a_log_that_lost_its_name_is_refused(self, tmp_path: Path) -> None:
        path = make_log(tmp_path)
        tamper(path, "DELETE FROM log")
        assert quick_check(path) == "the table log has 0 rows instead of one"

    def test_an_index_without_a_message_of_its_table_is_found(self, tmp_path: Path) -> None:
        path = long_log(tmp_path)
        tamper(
            path,
            "PRAGMA writable_schema = ON",
            "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema "
            "WHERE name = 'bundle') WHERE name = 'known_ref'",
        )
        assert quick_check(path)


class TestLargeFiles:
    """Of these only a part is looked at, here because the budget is spent at once."""

    @pytest.fixture(autouse=True)
    def _no_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(integrity, "BUDGET", -1.0)

    @pytest.mark.parametrize("count", [0, 1, 3_000])
    def test_an_intact_one_is_opened(self, tmp_path: Path, count: int) -> None:
        open_database(long_log(tmp_path, count), "process").close()

    def test_one_that_was_cut_is_refused(self, tmp_path: Path) -> None:
        path = long_log(tmp_path)
        os.truncate(path, path.stat().st_size - 4_096)
        assert quick_check(path)

    def test_a_message_that_is_missing_is_found_if_it_is_a_sample(self, tmp_path: Path) -> None:
        path = long_log(tmp_path)
        tamper(path, "DELETE FROM entry WHERE id BETWEEN 1000 AND 1999")
        assert "is missing" in quick_check(path)

    def test_the_newest_are_all_looked_at(self, tmp_path: Path) -> None:
        path = long_log(tmp_path)
        tamper(path, "DELETE FROM entry WHERE id = 2990")
        assert quick_check(path) == "message 2990 is missing"

    def test_an_index_without_the_newest_is_found(self, tmp_path: Path) -> None:
        path = long_log(tmp_path)
        tamper(path, "DELETE FROM known_ref WHERE id = 2995")
        assert quick_check(path) == "message 2995 is not found by its ref"


class TestOtherFiles:
    def test_another_database_is_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / FILE
        tamper(path, "CREATE TABLE entry (id INTEGER)")
        assert refusal(path) == (
            f"{path} is not a log of chatd; move it away, or choose another directory with --data"
        )

    def test_a_file_that_is_no_database_is_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / FILE
        path.write_text("dear diary\n" * 1_000)
        assert quick_check(path) == "file is not a database"

    def test_a_directory_is_no_log(self, tmp_path: Path) -> None:
        (tmp_path / FILE).mkdir()
        with pytest.raises(UnusableLogError, match=f"cannot use {tmp_path / FILE}: "):
            open_database(tmp_path / FILE, "process")

    def test_a_write_ahead_log_without_its_database_is_not_thrown_away(
        self, tmp_path: Path
    ) -> None:
        rest = tmp_path / f"{FILE}-wal"
        rest.write_bytes(b"messages")
        assert refusal(tmp_path / FILE) == (
            f"{tmp_path / FILE} is missing, but log.sqlite-wal is there and has messages of it; "
            "restore it, or move log.sqlite-wal away to start a new log"
        )
        assert rest.read_bytes() == b"messages"

    def test_a_creation_that_was_cut_short_is_begun_again(self, tmp_path: Path) -> None:
        (tmp_path / f"{FILE}.new").write_bytes(b"half a datab")
        (tmp_path / f"{FILE}.new-journal").write_bytes(b"half a journ")
        open_database(tmp_path / FILE, "process").close()
        assert [path.name for path in tmp_path.iterdir()] == [FILE]

    def test_to_read_there_must_be_one(self, tmp_path: Path) -> None:
        with pytest.raises(UnusableLogError, match=f"{tmp_path / FILE} does not exist; name the"):
            open_to_read(tmp_path / FILE)


class TestVersions:
    NEXT = "ALTER TABLE entry ADD COLUMN mood TEXT; UPDATE entry SET mood = 'calm'"

    def test_an_older_one_is_migrated_and_keeps_its_messages(self, tmp_path: Path) -> None:
        path = make_log(tmp_path, [new_message(recipient=BOB) for _ in range(5)])
        newer = open_database(path, "process", (*MIGRATIONS, self.NEXT))
        assert newer.pragma("user_version") == len(MIGRATIONS) + 1
        assert newer.execute("SELECT DISTINCT mood FROM entry").fetchall() == [("calm",)]
        assert ids(Database(newer).replay(BOB, 0, 5).entries) == [1, 2, 3, 4, 5]
        newer.close()

    def test_it_is_reported_that_an_older_one_takes_its_time(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "chatd.messagelog")
        path = make_log(tmp_path)
        open_database(path, "process").close()
        assert caplog.messages == []
        open_database(path, "process", (*MIGRATIONS, self.NEXT)).close()
        old, new = len(MIGRATIONS), len(MIGRATIONS) + 1
        begun, done = caplog.messages
        assert re.fullmatch(rf"migrating {path} \(\d+ bytes\) from version {old} to {new}", begun)
        assert re.fullmatch(rf"migrated to version {new} in \d+\.\d s", done)

    @pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
    def test_one_of_an_older_version_goes_on(self, tmp_path: Path, version: int) -> None:
        path = old_log(tmp_path, version)
        if version >= WITH_DEFERRED_INDEX:
            tamper(path, "UPDATE log SET filed = 1300", "DELETE FROM letter WHERE id > 1400")
        assert problems(path) == []
        newer = Database(open_database(path, "power"))
        assert (newer.last, newer.earlier_epochs()) == (1_501, {})
        messages = [
            new_message(7, ref="a ref"),
            new_message(8, ref="ref 1"),
            new_message(7, ref="ref 1500"),
        ]
        stored = newer.store(CommitBatch([(messages, "")], (), {}))
        assert [(one.kind, one.entry.id) for one in each(stored.results)] == [
            ("duplicate", 1),
            ("stored", 1_502),
            ("duplicate", 1_500),
        ]
        assert ids(newer.history(8, 2_000, 1_000).entries) == [1, *range(3, 1_502, 2), 1_502]
        assert ids(newer.history(7, 1_000, 10).entries) == [*range(990, 1_000)]
        newer.close()
        assert problems(path) == []

    def test_a_migration_that_fails_changes_nothing(self, tmp_path: Path) -> None:
        path = make_log(tmp_path, [new_message()])
        with pytest.raises(UnusableLogError, match=f"cannot use {path}: no such table"):
            open_database(path, "process", (*MIGRATIONS, self.NEXT, "DELETE FROM nowhere"))
        same = open_database(path, "process")
        assert same.pragma("user_version") == len(MIGRATIONS)
        assert "mood" not in str(same.execute("SELECT sql FROM sqlite_schema").fetchall())
        same.close()

    def test_a_new_one_has_the_newest(self, tmp_path: Path) -> None:
        new = open_database(tmp_path / FILE, "process")
        assert new.pragma("user_version") == len(MIGRATIONS)
        new.close()

    def test_a_newer_one_is_refused(self, tmp_path: Path) -> None:
        path = make_log(tmp_path)
        tamper(path, "PRAGMA user_version = 99")
        assert refusal(path) == (
            f"{path} was written by a newer chatd (tables of version 99, this one knows "
            f"{len(MIGRATIONS)}); start that one, or choose another directory with --data"
        )
