"""When the log takes another name, and what it knows of its earlier ones."""

import os
import shutil
from pathlib import Path

import pytest

from chatd.messagelog.base import Retention
from chatd.messagelog.sqlite import epochs
from chatd.messagelog.sqlite.open import FILE, Durability
from tests.support.log_harness import BOB, SqliteHarness, fill, new_message, open_sqlite, replayed

WAL = f"{FILE}-wal"
COMMITS = 20


async def cut_power(
    directory: Path, survives: float, durability: Durability = "process", boot: str = "first"
) -> SqliteHarness:
    """Write a log in `directory` and leave what a power cut would; return what was open.

    `survives` is the part that the disk has of what was written without waiting for it.
    """
    alive = moved_aside(directory)
    async with open_sqlite(alive, durability=durability, boot=boot) as harness:
        on_disk = (alive / WAL).stat().st_size
        for _ in range(COMMITS):
            await fill(harness, new_message())
        shutil.copytree(alive, directory)
    written = (directory / WAL).stat().st_size
    os.truncate(directory / WAL, on_disk + int(survives * (written - on_disk)))
    shutil.rmtree(alive)
    return harness


def moved_aside(directory: Path) -> Path:
    """Return what is in `directory`, or an empty one, under another name."""
    aside = directory.with_name("alive")
    directory.mkdir(exist_ok=True)
    return directory.rename(aside)


@pytest.mark.parametrize("survives", [0.0, 0.47, 1.0])
async def test_after_a_power_cut_ids_that_may_be_given_again_are_of_another_log(
    tmp_path: Path, survives: float
) -> None:
    before = await cut_power(tmp_path / "log", survives)
    async with open_sqlite(tmp_path / "log", boot="second") as harness:
        last = harness.log.last
        assert last == int(survives * COMMITS)
        assert harness.log.name != before.log.name
        assert harness.log.earlier_epochs == {before.log.name: last}
        await fill(harness, new_message(content="under an id of before"))
        assert len(await replayed(harness, BOB, 0, last + 1)) == last + 1


async def test_where_each_commit_waits_for_the_disk_it_is_the_same(tmp_path: Path) -> None:
    before = await cut_power(tmp_path / "log", 1.0, "power")
    async with open_sqlite(tmp_path / "log", durability="power", boot="second") as harness:
        assert (harness.log.name, harness.log.last) == (before.log.name, COMMITS)
        assert harness.log.earlier_epochs == {}


async def test_a_process_that_was_killed_loses_nothing_and_the_log_is_the_same(
    tmp_path: Path,
) -> None:
    before = await cut_power(tmp_path / "log", 1.0)
    async with open_sqlite(tmp_path / "log", boot="first") as harness:
        assert (harness.log.name, harness.log.last) == (before.log.name, COMMITS)


async def test_what_was_closed_before_the_power_was_cut_is_the_same(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path, boot="first") as harness:
        await fill(harness, new_message())
    name = harness.log.name
    async with open_sqlite(tmp_path, boot="second") as harness:
        assert (harness.log.name, harness.log.last, harness.log.earlier_epochs) == (name, 1, {})


async def test_a_level_of_durability_counts_for_what_was_written_under_it(tmp_path: Path) -> None:
    before = await cut_power(tmp_path / "log", 0.5, "process")
    async with open_sqlite(tmp_path / "log", durability="power", boot="second") as harness:
        assert harness.log.earlier_epochs == {before.log.name: 10}
    name = harness.log.name
    shutil.copytree(tmp_path / "log", tmp_path / "again")
    async with open_sqlite(tmp_path / "again", boot="third") as harness:
        assert harness.log.name == name


async def test_all_earlier_names_are_known_with_what_is_common(tmp_path: Path) -> None:
    first = await cut_power(tmp_path / "log", 0.5, boot="first")
    second = await cut_power(tmp_path / "log", 0.0, boot="second")
    async with open_sqlite(tmp_path / "log", boot="third") as harness:
        assert harness.log.earlier_epochs == {first.log.name: 10, second.log.name: 10}
        await fill(harness, new_message())
        assert harness.reported[0].entry.id == 11


async def test_a_log_of_which_nothing_is_kept_goes_on_after_its_last_id(tmp_path: Path) -> None:
    alive = moved_aside(tmp_path / "cut")
    async with open_sqlite(alive, Retention(age_ns=1), boot="first") as harness:
        harness.now_ns += 10
        await fill(harness, new_message(), new_message())
        shutil.copytree(alive, tmp_path / "cut")
    async with open_sqlite(tmp_path / "cut", boot="second") as again:
        assert again.log.earlier_epochs == {harness.log.name: 2}


def test_the_kernel_tells_which_boot_it_is() -> None:
    epochs.boot_id.cache_clear()
    assert epochs.boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_where_no_kernel_tells_each_start_is_another_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epochs, "_BOOT_ID", tmp_path / "nothing")
    epochs.boot_id.cache_clear()
    first = epochs.boot_id()
    assert epochs.boot_id() == first
    epochs.boot_id.cache_clear()
    assert epochs.boot_id() != first
    epochs.boot_id.cache_clear()
