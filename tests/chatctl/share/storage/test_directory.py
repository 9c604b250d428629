"""The download directory: earlier files are found again, and no other file is overwritten."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from chatctl.share.storage.store import FileComplete
from common.manifest import PIECE_SIZE
from tests.support.share_storage import PeerFiles, listing, open_store, random_bytes

ANN = PeerFiles("ann", ("a.txt", random_bytes(2 * PIECE_SIZE + 1)))
CONTENT = ANN.contents[0]


def identity(path: Path) -> tuple[int, int, int]:
    """Return what changes when a file is replaced or written, and not when it is read."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


async def test_a_file_that_is_there_is_not_fetched_again_nor_touched(tmp_path: Path) -> None:
    async with open_store(tmp_path) as harness:
        await harness.fetch(ANN)
    before = identity(tmp_path / "ann_a.txt")
    async with open_store(tmp_path) as harness:
        assert (await harness.store.add(ANN.manifest)).count() == 3
        assert await harness.events.get() == FileComplete("ann", 0, tmp_path / "ann_a.txt")
        assert await harness.store.read("ann", 2) == ANN.pieces[2]
    assert identity(tmp_path / "ann_a.txt") == before
    assert listing(tmp_path) == {"ann_a.txt": CONTENT}


@pytest.mark.parametrize("name", ["ann_a.txt", "ann_a.txt.part", "ann_a.txt.part.map"])
@pytest.mark.parametrize("other", [b"", b"mine", CONTENT[:-1] + b"x"])
async def test_a_file_of_someone_else_is_not_touched(
    tmp_path: Path, name: str, other: bytes
) -> None:
    (tmp_path / name).write_bytes(other)
    for _ in range(2):
        async with open_store(tmp_path) as harness:
            assert await harness.fetch(ANN) == [FileComplete("ann", 0, tmp_path / "ann_a-2.txt")]
        assert listing(tmp_path) == {name: other, "ann_a-2.txt": CONTENT}


@pytest.mark.parametrize("name", ["ann_a.txt", "ann_a.txt.part", "ann_a.txt.part.map"])
@pytest.mark.parametrize("target", ["../victim", "nowhere"])
async def test_a_link_is_not_followed(tmp_path: Path, name: str, target: str) -> None:
    (tmp_path / "victim").write_bytes(CONTENT)
    out = tmp_path / "out"
    out.mkdir()
    (out / name).symlink_to(target)
    async with open_store(out) as harness:
        assert await harness.fetch(ANN) == [FileComplete("ann", 0, out / "ann_a-2.txt")]
    assert (out / name).is_symlink()
    assert not (out / "nowhere").exists()
    assert (tmp_path / "victim").read_bytes() == CONTENT


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
@pytest.mark.parametrize("name", ["ann_a.txt", "ann_a.txt.part", "ann_a.txt.part.map"])
async def test_what_is_not_a_regular_file_is_left_alone(
    tmp_path: Path, name: str, make: Callable[[Path], None]
) -> None:
    make(tmp_path / name)
    async with open_store(tmp_path) as harness:
        assert await harness.fetch(ANN) == [FileComplete("ann", 0, tmp_path / "ann_a-2.txt")]


async def test_a_link_in_the_place_of_a_part_that_was_begun_is_not_written_through(
    tmp_path: Path,
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    out = tmp_path / "out"
    async with open_store(out) as harness:
        await harness.store.add(ANN.manifest)
    (out / "ann_a.txt.part").unlink()
    (out / "ann_a.txt.part").symlink_to(victim)
    async with open_store(out) as harness:
        assert await harness.fetch(ANN) == [FileComplete("ann", 0, out / "ann_a-2.txt")]
    assert victim.read_bytes() == b"precious"


async def test_a_name_taken_during_the_transfer_is_not_overwritten(
    tmp_path: Path,
) -> None:
    async with open_store(tmp_path) as harness:
        await harness.store.add(ANN.manifest)
        (tmp_path / "ann_a.txt").write_bytes(b"mine")
        await harness.write_pieces(ANN)
        assert await harness.events.get() == FileComplete("ann", 0, tmp_path / "ann_a-2.txt")
    assert listing(tmp_path) == {"ann_a.txt": b"mine", "ann_a-2.txt": CONTENT}
    async with open_store(tmp_path) as harness:
        assert await harness.fetch(ANN) == [FileComplete("ann", 0, tmp_path / "ann_a-2.txt")]


async def test_files_of_one_name_from_one_peer_all_arrive_and_all_are_found_again(
    tmp_path: Path,
) -> None:
    same, other = random_bytes(PIECE_SIZE + 1, 2), random_bytes(PIECE_SIZE + 1, 3)
    peer = PeerFiles("1", ("a.txt", same), ("a.txt", other), ("x/a.txt", same), ("A.TXT", same))
    expected = {"1_a.txt": same, "1_a-2.txt": other, "1_a-3.txt": same, "1_A-4.TXT": same}
    for _ in range(2):
        async with open_store(tmp_path) as harness:
            events = await harness.fetch(peer)
        assert {each.path.name for each in events if isinstance(each, FileComplete)} == set(
            expected
        )
        assert listing(tmp_path) == expected


async def test_peers_with_the_same_local_name_get_separate_files(tmp_path: Path) -> None:
    peers = [
        PeerFiles("a b", ("x", b"1")),
        PeerFiles("a\u00a0b", ("x", b"2")),
        PeerFiles("A B", ("x", b"3")),
    ]
    async with open_store(tmp_path) as harness:
        for peer in peers:
            await harness.fetch(peer)
    assert listing(tmp_path) == {"a b_x": b"1", "a b_x-2": b"2", "A B_x-3": b"3"}


async def test_a_name_like_that_of_a_part_is_not_mistaken_for_one(tmp_path: Path) -> None:
    names = ["a.part.map", "a.part", "a"]
    peer = PeerFiles(
        "1", *((name, random_bytes(PIECE_SIZE, seed)) for seed, name in enumerate(names))
    )
    for _ in range(2):
        async with open_store(tmp_path) as harness:
            await harness.fetch(peer)
        assert set(listing(tmp_path)) == {"1_a.part.map_", "1_a.part_", "1_a"}


async def test_hundreds_of_files_of_one_name_find_their_places(tmp_path: Path) -> None:
    peer = PeerFiles("1", *[("a", b"")] * 500)
    async with open_store(tmp_path) as harness:
        assert (
            len({each.path for each in await harness.fetch(peer) if isinstance(each, FileComplete)})
            == 500
        )


async def test_another_version_of_a_file_begins_anew_beside_the_old(tmp_path: Path) -> None:
    newer = PeerFiles("ann", ("a.txt", random_bytes(2 * PIECE_SIZE + 1, 9)))
    async with open_store(tmp_path) as harness:
        await harness.store.add(ANN.manifest)
        await harness.write_pieces(ANN, [0])
    async with open_store(tmp_path) as harness:
        assert (await harness.store.add(newer.manifest)).count() == 0
        await harness.write_pieces(newer)
        assert await harness.events.get() == FileComplete("ann", 0, tmp_path / "ann_a-2.txt")
    async with open_store(tmp_path) as harness:
        assert list((await harness.store.add(ANN.manifest)).search(1)) == [0]


@pytest.mark.parametrize("error", [errno.EPERM, errno.EOPNOTSUPP])
async def test_a_disk_without_hard_links_does_not_overwrite_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def refuse_link(*paths: Path, follow_symlinks: bool) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "link", refuse_link)
    async with open_store(tmp_path) as harness:
        await harness.store.add(ANN.manifest)
        (tmp_path / "ann_a.txt").write_bytes(b"mine")
        await harness.write_pieces(ANN)
        assert await harness.events.get() == FileComplete("ann", 0, tmp_path / "ann_a-2.txt")
    assert listing(tmp_path) == {"ann_a.txt": b"mine", "ann_a-2.txt": CONTENT}
