"""Programs are killed and disks are full: what has come is kept, and what is kept is true."""

import asyncio
import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chatctl.errors import Exit
from chatctl.share.storage.file_io import DiskFullError
from chatctl.share.storage.store import FileComplete, FileFailed
from common.manifest import PIECE_SIZE
from tests.support.share_storage import (
    PeerFiles,
    limited_file_size,
    listing,
    open_store,
    random_bytes,
    written_peer,
)

PEER = PeerFiles("1", ("a", random_bytes(4 * PIECE_SIZE)))


@pytest.mark.parametrize("bursts", [0, 1, 12])
async def test_after_a_kill_nothing_that_was_written_is_fetched_again(
    tmp_path: Path, bursts: int
) -> None:
    command = [sys.executable, "-m", "tests.support.share_storage", str(tmp_path)]
    writer = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert writer.stdout
    said = {int(word) for _ in range(bursts) for word in (await writer.stdout.readline()).split()}
    writer.kill()
    await writer.communicate()
    assert len(said) == 8 * bursts

    peer = written_peer()
    async with open_store(tmp_path) as harness:
        held = await harness.store.add(peer.manifest)
        assert said <= set(held.search(1))
        for index in held.search(1):
            assert await harness.store.read("1", index) == peer.pieces[index]
        await harness.write_pieces(peer)
        for _ in range(2):
            assert isinstance(await harness.events.get(), FileComplete)
    assert listing(tmp_path) == {
        "1_big.bin": peer.contents[0],
        "1_small.txt": peer.contents[1],
    }


def corrupt_a_piece(part: Path, bitmap: Path) -> None:
    with part.open("r+b") as file:
        file.seek(PIECE_SIZE)
        file.write(bytes(9))


def mark_a_piece_that_is_not_there(part: Path, bitmap: Path) -> None:
    content = bitmap.read_bytes()
    bitmap.write_bytes(content[:-1] + bytes([content[-1] | 0b0001_0000]))
    corrupt_a_piece(part, bitmap)


def tear_the_part(part: Path, bitmap: Path) -> None:
    os.truncate(part, PIECE_SIZE + 1)


def lengthen_the_part(part: Path, bitmap: Path) -> None:
    os.truncate(part, 9 * PIECE_SIZE)
    corrupt_a_piece(part, bitmap)


def tear_the_bitmap(part: Path, bitmap: Path) -> None:
    bitmap.write_bytes(bitmap.read_bytes()[:-1])


def remove_the_part(part: Path, bitmap: Path) -> None:
    part.unlink()


@pytest.mark.parametrize(
    ("damage", "right"),
    [
        (corrupt_a_piece, [0]),
        (mark_a_piece_that_is_not_there, [0]),
        (tear_the_part, [0]),
        (lengthen_the_part, [0]),
        (tear_the_bitmap, []),
        (remove_the_part, []),
    ],
)
async def test_a_piece_that_was_lost_with_the_power_is_not_believed(
    tmp_path: Path, damage: Callable[[Path, Path], None], right: list[int]
) -> None:
    async with open_store(tmp_path) as harness:
        await harness.store.add(PEER.manifest)
        await harness.write_pieces(PEER, [0, 1])
    damage(tmp_path / "1_a.part", tmp_path / "1_a.part.map")
    for _ in range(2):  # and what was found wrong is remembered
        async with open_store(tmp_path) as harness:
            assert list((await harness.store.add(PEER.manifest)).search(1)) == right
    async with open_store(tmp_path) as harness:
        assert await harness.fetch(PEER) == [FileComplete("1", 0, tmp_path / "1_a")]
    assert listing(tmp_path) == {"1_a": PEER.contents[0]}


@pytest.mark.parametrize("left", [["1_a.part", "1_a.part.map"], ["1_a.part.map"]])
async def test_a_kill_while_a_file_gets_its_name_leaves_nothing_behind(
    tmp_path: Path, left: list[str]
) -> None:
    async with open_store(tmp_path) as harness:
        await harness.store.add(PEER.manifest)
        await harness.write_pieces(PEER, [0])
    before = {name: (tmp_path / name).read_bytes() for name in left}
    async with open_store(tmp_path) as harness:
        await harness.fetch(PEER)
    for name, content in before.items():
        (tmp_path / name).write_bytes(content)
    async with open_store(tmp_path) as harness:
        assert (await harness.store.add(PEER.manifest)).count() == 4
        assert await harness.events.get() == FileComplete("1", 0, tmp_path / "1_a")
    assert listing(tmp_path) == {"1_a": PEER.contents[0]}


async def test_on_a_full_disk_writes_fail_and_nothing_is_corrupt(tmp_path: Path) -> None:
    async with open_store(tmp_path) as harness:
        held = await harness.store.add(PEER.manifest)
        with limited_file_size(2 * PIECE_SIZE + 100):
            await harness.write_pieces(PEER, [0])
            for index in (3, 2):
                with pytest.raises(DiskFullError, match=r"no space for .*1_a\.part.*free some"):
                    await harness.write_pieces(PEER, [index])
            await harness.write_pieces(PEER, [1])
        assert list(held.search(1)) == [0, 1]
    async with open_store(tmp_path) as harness:
        assert list((await harness.store.add(PEER.manifest)).search(1)) == [0, 1]
        await harness.write_pieces(PEER)
        assert await harness.events.get() == FileComplete("1", 0, tmp_path / "1_a")
    assert listing(tmp_path) == {"1_a": PEER.contents[0]}


async def test_when_there_is_space_again_the_same_run_continues(tmp_path: Path) -> None:
    async with open_store(tmp_path) as harness:
        await harness.store.add(PEER.manifest)
        with limited_file_size(PIECE_SIZE), pytest.raises(DiskFullError) as failure:
            await harness.write_pieces(PEER, [2])
        await harness.write_pieces(PEER)
        assert await harness.events.get() == FileComplete("1", 0, tmp_path / "1_a")
    assert failure.value.exit_code is Exit.PARTIAL
    assert listing(tmp_path) == {"1_a": PEER.contents[0]}


async def test_files_that_cannot_be_created_leave_nothing_behind(tmp_path: Path) -> None:
    async with open_store(tmp_path) as harness:
        for space in (0, 20, PIECE_SIZE):
            with limited_file_size(space), pytest.raises(DiskFullError):
                await harness.store.add(PEER.manifest)
            assert listing(tmp_path) == {}
        assert await harness.fetch(PEER) == [FileComplete("1", 0, tmp_path / "1_a")]


async def test_a_file_that_cannot_be_renamed_is_finished_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_link(*paths: Path, follow_symlinks: bool) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(os, "link", refuse_link)
        async with open_store(tmp_path) as harness:
            (failed,) = await harness.fetch(PEER)
    assert isinstance(failed, FileFailed)
    assert isinstance(failed.error, DiskFullError)
    assert set(listing(tmp_path)) == {"1_a.part", "1_a.part.map"}
    async with open_store(tmp_path) as harness:
        assert await harness.fetch(PEER) == [FileComplete("1", 0, tmp_path / "1_a")]
