"""Files of others arrive piece by piece, and every piece can be sent on at once."""

import asyncio
import hashlib
import os
from pathlib import Path

import pytest
from bitarray import bitarray

from chatctl.errors import UsageError
from chatctl.share.storage.partial_file import FileDigestError
from chatctl.share.storage.source_file import ChangedFileError
from chatctl.share.storage.store import FileComplete, FileFailed, PiecesCorrupt
from common.manifest import PIECE_SIZE, FileEntry, InvalidManifestError, Manifest
from tests.support.share_storage import PeerFiles, listing, open_store, random_bytes

ANN = PeerFiles(
    "ann",
    ("a.txt", random_bytes(3 * PIECE_SIZE + 7)),
    ("empty", b""),
    ("b.bin", random_bytes(PIECE_SIZE, 2)),
)


async def test_pieces_in_any_order_become_the_files(tmp_path: Path) -> None:
    async with open_store(tmp_path / "made" / "here") as harness:
        assert await harness.store.add(ANN.manifest) == bitarray(5)
        assert await harness.events.get() == FileComplete(
            "ann", 1, tmp_path / "made" / "here" / "ann_empty"
        )
        assert await harness.write_pieces(ANN, [4, 2, 0, 3, 1]) == [True] * 5
        events = [await harness.events.get(), await harness.events.get()]
    assert [(each.file, each.path.name) for each in events if isinstance(each, FileComplete)] == [
        (2, "ann_b.bin"),
        (0, "ann_a.txt"),
    ]
    assert listing(tmp_path / "made" / "here") == {
        "ann_a.txt": ANN.contents[0],
        "ann_empty": b"",
        "ann_b.bin": ANN.contents[2],
    }


async def test_a_piece_is_held_when_it_is_written_and_then_it_can_be_sent_on(
    tmp_path: Path,
) -> None:
    async with open_store(tmp_path) as harness:
        held = await harness.store.add(ANN.manifest)
        await harness.events.get()
        for index in (3, 0):
            assert not held[index]
            await harness.write_pieces(ANN, [index])
            assert held[index]
            assert await harness.store.read("ann", index) == ANN.pieces[index]
            location = harness.store.locate("ann", index)
            assert location
            file, offset, length = location
            assert os.pread(file.fileno(), length, offset) == ANN.pieces[index]
        assert list(harness.store.held("ann").search(1)) == [0, 3]


async def test_a_piece_can_be_sent_on_while_and_after_its_file_gets_its_name(
    tmp_path: Path,
) -> None:
    peer = PeerFiles("1", ("a", random_bytes(4 * PIECE_SIZE)))
    async with open_store(tmp_path) as harness:
        await harness.store.add(peer.manifest)
        await harness.write_pieces(peer)
        while harness.events.empty():
            assert await harness.store.read("1", 2) == peer.pieces[2]
        assert isinstance(await harness.events.get(), FileComplete)
        assert await harness.store.read("1", 2) == peer.pieces[2]
        assert harness.store.locate("1", 2)


@pytest.mark.parametrize(
    "wrong", [b"", ANN.pieces[1], ANN.pieces[0][:-1], ANN.pieces[0] + b"x", bytes(PIECE_SIZE)]
)
async def test_a_wrong_piece_is_not_written(tmp_path: Path, wrong: bytes) -> None:
    async with open_store(tmp_path) as harness:
        held = await harness.store.add(ANN.manifest)
        await harness.events.get()
        before = listing(tmp_path)
        assert await harness.store.write("ann", 0, wrong) is False
        assert (held.count(), listing(tmp_path)) == (0, before)
        await harness.write_pieces(ANN, [0])
        assert await harness.store.write("ann", 0, wrong) is False
        assert list(held.search(1)) == [0]


async def test_a_piece_may_come_twice_and_from_any_kind_of_buffer(tmp_path: Path) -> None:
    peer = PeerFiles("1", ("a", random_bytes(2 * PIECE_SIZE)))
    async with open_store(tmp_path) as harness:
        await harness.store.add(peer.manifest)
        first = peer.pieces[0]
        for same in (first, bytearray(first), memoryview(first), first):
            assert await harness.store.write("1", 0, same)
        assert all(await harness.write_pieces(peer, [1, 0, 1, 0]))
        assert isinstance(await harness.events.get(), FileComplete)
        assert all(await harness.write_pieces(peer, [1, 0]))


async def test_a_cancelled_write_is_done_all_the_same(tmp_path: Path) -> None:
    peer = PeerFiles("1", ("a", random_bytes(2 * PIECE_SIZE)))
    async with open_store(tmp_path) as harness:
        held = await harness.store.add(peer.manifest)
        harness.store.write("1", 0, peer.pieces[0]).cancel()
        await harness.write_pieces(peer, [1])
        assert held.count() == 2
        assert isinstance(await harness.events.get(), FileComplete)


async def test_pieces_that_wait_for_the_disk_at_the_end_are_written(tmp_path: Path) -> None:
    peer = PeerFiles("1", ("a", random_bytes(40 * PIECE_SIZE)))
    async with open_store(tmp_path) as harness:
        await harness.store.add(peer.manifest)
        for index in range(39):
            harness.store.write("1", index, peer.pieces[index])
    async with open_store(tmp_path) as harness:
        assert (await harness.store.add(peer.manifest)).count() == 39


async def test_a_file_that_ended_unchecked_is_finished_by_the_next_run(tmp_path: Path) -> None:
    peer = PeerFiles("1", ("a", random_bytes(40 * PIECE_SIZE)))
    async with open_store(tmp_path) as harness:
        await harness.store.add(peer.manifest)
        writes = [harness.store.write("1", index, piece) for index, piece in enumerate(peer.pieces)]
    assert all([await write for write in writes])
    assert set(listing(tmp_path)) == {"1_a.part", "1_a.part.map"}
    async with open_store(tmp_path) as harness:
        assert (await harness.store.add(peer.manifest)).count() == 40
        assert isinstance(await harness.events.get(), FileComplete)


async def test_what_somebody_did_to_an_unfinished_file_is_found_and_fetched_again(
    tmp_path: Path,
) -> None:
    peer = PeerFiles(
        "1", ("first", random_bytes(PIECE_SIZE)), ("a", random_bytes(4 * PIECE_SIZE, 2))
    )
    async with open_store(tmp_path) as harness:
        held = await harness.store.add(peer.manifest)
        await harness.write_pieces(peer, [0, 1, 2, 3])
        assert isinstance(await harness.events.get(), FileComplete)
        with (tmp_path / "1_a.part").open("r+b") as part:
            part.seek(PIECE_SIZE + 5)
            part.write(b"\0\0\0")
        await harness.write_pieces(peer, [4])
        assert await harness.events.get() == PiecesCorrupt("1", (2,))
        assert list(held.search(1)) == [0, 1, 3, 4]
        await harness.write_pieces(peer, [2])
        assert await harness.events.get() == FileComplete("1", 1, tmp_path / "1_a")
    assert (tmp_path / "1_a").read_bytes() == peer.contents[1]


async def test_a_file_with_a_false_digest_is_never_finished(tmp_path: Path) -> None:
    digests = hashlib.sha256(b"truth").digest()
    manifest = Manifest("eve", (FileEntry("a", 5, "0" * 64),), digests)
    async with open_store(tmp_path) as harness:
        await harness.store.add(manifest)
        assert await harness.store.write("eve", 0, b"truth")
        failed = await harness.events.get()
        assert isinstance(failed, FileFailed)
        assert isinstance(failed.error, FileDigestError)
        assert "the owner's manifest is wrong" in str(failed.error)
    assert set(listing(tmp_path)) == {"eve_a.part", "eve_a.part.map"}


async def test_an_excessive_size_is_rejected_before_anything_is_created(tmp_path: Path) -> None:
    bomb = Manifest("eve", (FileEntry("a", 10**9, "0" * 64), FileEntry("b", 2, "0" * 64)), b"")
    async with open_store(tmp_path, max_size=10**9 + 1) as harness:
        with pytest.raises(
            InvalidManifestError, match="1000000002 bytes, more than the 1000000001"
        ):
            await harness.store.add(bomb)
        with pytest.raises(KeyError):
            harness.store.held("eve")
    assert listing(tmp_path) == {}


async def test_files_take_no_space_before_their_pieces_come(tmp_path: Path) -> None:
    size = 2**33
    pieces = -(-size // PIECE_SIZE)
    huge = Manifest("1", (FileEntry("a", size, "0" * 64),), bytes(32 * pieces))
    async with open_store(tmp_path) as harness:
        assert await harness.store.add(huge) == bitarray(pieces)
    part = (tmp_path / "1_a.part").stat()
    assert part.st_size == size
    assert part.st_blocks * 512 < 10**6


async def test_the_same_manifest_may_come_from_several_peers_at_once(tmp_path: Path) -> None:
    peer = PeerFiles("1", ("a", random_bytes(2 * PIECE_SIZE)))
    async with open_store(tmp_path) as harness:
        add = harness.store.add
        one, other = await asyncio.gather(add(peer.manifest), add(peer.manifest))
        assert one is other
        with pytest.raises(InvalidManifestError, match="1 shared other files before"):
            await add(PeerFiles("1", ("a", b"other")).manifest)
    assert set(listing(tmp_path)) == {"1_a.part", "1_a.part.map"}


async def test_a_cancelled_add_may_be_repeated(tmp_path: Path) -> None:
    peer = PeerFiles("1", ("a", random_bytes(2 * PIECE_SIZE)))
    async with open_store(tmp_path) as harness:
        waiting = asyncio.ensure_future(harness.store.add(peer.manifest))
        await asyncio.sleep(0)
        waiting.cancel()
        await harness.store.add(peer.manifest)
        await harness.write_pieces(peer)
        assert await harness.events.get() == FileComplete("1", 0, tmp_path / "1_a")
    assert listing(tmp_path) == {"1_a": peer.contents[0]}


async def test_one_directory_belongs_to_one_run(tmp_path: Path) -> None:
    async with open_store(tmp_path):
        with pytest.raises(UsageError, match=r"another share is using .*choose another --out"):
            async with open_store(tmp_path):
                pass
        async with open_store(tmp_path / "other"):
            pass
    async with open_store(tmp_path):
        pass


async def test_a_path_that_is_not_a_directory_is_an_error_with_advice(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in ("file", "file/below"):
        with pytest.raises(UsageError, match=r"cannot use .*choose another --out"):
            async with open_store(tmp_path / place):
                pass


async def test_a_removed_part_is_an_error_that_names_it(tmp_path: Path) -> None:
    peer = PeerFiles("1", *((f"{n}", random_bytes(PIECE_SIZE, n)) for n in range(200)))
    async with open_store(tmp_path) as harness:
        await harness.store.add(peer.manifest)
        (tmp_path / "1_0.part").unlink()  # by now it is none of those that are kept open
        with pytest.raises(Exception, match=r"cannot use .*1_0\.part: no such file"):
            await harness.write_pieces(peer, [0])
        assert harness.store.locate("1", 0) is None
        with pytest.raises(ChangedFileError, match=r"cannot read .*1_0\.part any more"):
            await harness.store.read("1", 0)
        await harness.write_pieces(peer, [1])
        assert isinstance(await harness.events.get(), FileComplete)
