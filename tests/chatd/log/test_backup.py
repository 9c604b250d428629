"""A copy of a log that is in use."""

import shutil
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from chatd.log.backup import back_up
from chatd.log.opening import FILE, open_to_read
from chatd.log.port import UnusableLogError
from tests.chatd.log.files import long_log, old_log
from tests.chatd.log.harness import BOB, fill, new_message, open_sqlite, replayed


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
    with pytest.raises(UnusableLogError, match=f"{target} is there already; name a new file"):
        back_up(long_log(tmp_path), target)
    assert target.read_text() == "the backup of last week"


def test_one_that_was_cut_short_does_not_look_like_one(tmp_path: Path) -> None:
    (tmp_path / "friday.unfinished").write_text("half a backup")
    back_up(long_log(tmp_path), tmp_path / "friday")
    assert not (tmp_path / "friday.unfinished").exists()


def test_without_a_log_there_is_no_backup(tmp_path: Path) -> None:
    with pytest.raises(UnusableLogError, match="there is no "):
        back_up(tmp_path / FILE, tmp_path / "friday")
    assert list(tmp_path.iterdir()) == []
