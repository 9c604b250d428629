"""What is left of a run that was killed when it had all, and what the next one makes of it."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from bitarray import bitarray

from chatctl.share.storage.partial_file import header
from chatctl.share.storage.resume_data import FoundFile, ResumeData, recover
from common.manifest import PIECE_SIZE, count_pieces
from tests.support.share_storage import PeerFiles, listing, open_store, random_bytes

BOB = PeerFiles("bob", ("large", random_bytes(3 * PIECE_SIZE + 1)), ("empty", b""))
CAROL = PeerFiles("carol", ("small", random_bytes(10, seed=2)))


async def leave(directory: Path, *peers: PeerFiles) -> None:
    """Leave `directory` as one does who is killed with all pieces of `peers`, before naming files.

    Empty files are named at once.
    """
    resume_data = ResumeData(directory, "run", "d")
    for peer in peers:
        async with open_store(directory) as harness:
            resume_data.add(peer.manifest)
            await harness.fetch(peer)
        for file in peer.manifest.files:
            if file.size:
                path = directory / f"{peer.manifest.owner}_{file.name}"
                path.rename(f"{path}.part")
                bits = (~bitarray(count_pieces(file.size))).tobytes()
                path.with_name(f"{path.name}.part.map").write_bytes(header(file) + bits)


async def recovered(directory: Path, group: str = "run", digest: str = "d") -> dict[str, list[str]]:
    """Return the names of the files that the next run finds to be here, by owner."""
    async with open_store(directory) as harness:
        found = await recover(ResumeData(directory, group, digest).load(), harness.store)
    return {owner: names(files) for owner, files in found.items()}


def names(files: Iterable[FoundFile]) -> list[str]:
    return [path.name for _, path in files]


async def test_files_with_all_pieces_get_their_names(tmp_path: Path) -> None:
    await leave(tmp_path, BOB, CAROL)
    assert "bob_large.part" in listing(tmp_path)
    assert await recovered(tmp_path) == {
        "bob": ["bob_large", "bob_empty"],
        "carol": ["carol_small"],
    }
    assert (tmp_path / "bob_large").read_bytes() == BOB.contents[0]
    assert not [name for name in listing(tmp_path) if ".part" in name]


async def test_what_was_found_once_is_found_again(tmp_path: Path) -> None:
    await leave(tmp_path, BOB)
    assert await recovered(tmp_path) == await recovered(tmp_path) != {}


async def test_nothing_is_found_when_one_of_all_lacks_a_piece(tmp_path: Path) -> None:
    await leave(tmp_path, CAROL, BOB)
    bitmap = tmp_path / "bob_large.part.map"
    bitmap.write_bytes(bitmap.read_bytes()[:-1] + b"\xe0")
    assert await recovered(tmp_path) == {}


@pytest.mark.parametrize("damage", [b"", b"x", random_bytes(3 * PIECE_SIZE + 1, seed=3)])
async def test_a_file_that_somebody_has_changed_is_not_named(tmp_path: Path, damage: bytes) -> None:
    await leave(tmp_path, BOB)
    (tmp_path / "bob_large.part").write_bytes(damage)
    assert await recovered(tmp_path) == {}
    assert "bob_large" not in listing(tmp_path)


async def test_a_removed_file_is_missing_and_not_created(tmp_path: Path) -> None:
    await leave(tmp_path, CAROL)
    assert await recovered(tmp_path)
    (tmp_path / "carol_small").unlink()
    assert await recovered(tmp_path) == {}
    assert len(listing(tmp_path)) == 1


async def test_another_group_or_manifest_is_another_exchange(
    tmp_path: Path,
) -> None:
    await leave(tmp_path, BOB)
    assert await recovered(tmp_path, group="other") == {}
    assert await recovered(tmp_path, digest="e") == {}


async def test_deleted_or_torn_resume_data_is_ignored(tmp_path: Path) -> None:
    await leave(tmp_path, BOB)
    (name,) = (name for name in listing(tmp_path) if name.startswith(".share-"))
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-1])
    assert await recovered(tmp_path) == {}
    resume_data = ResumeData(tmp_path, "run", "d")
    resume_data.delete()
    resume_data.delete()
    assert not path.exists()
