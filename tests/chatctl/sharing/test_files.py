"""How far each file is, piece by piece."""

import hashlib
from pathlib import Path

from bitarray import bitarray

from chatctl.sharing.files import DownloadProgress, FileProgress
from common.pieces import PIECE_SIZE, FileEntry, Manifest

NOTHING = hashlib.sha256().hexdigest()


def manifest(owner: str, *sizes: int) -> Manifest:
    files = tuple(FileEntry(f"{number}.bin", size, NOTHING) for number, size in enumerate(sizes))
    return Manifest(owner, files, b"")


def test_pieces_count_for_the_file_they_are_of_and_once_each() -> None:
    files = DownloadProgress()
    files.add(manifest("1", 2 * PIECE_SIZE, 0, PIECE_SIZE + 1))
    for index in (0, 2, 3, 3):
        files.add_piece("1", index)
    files.remove_piece("1", 3)
    assert [(file.name, file.held, file.total) for file in files] == [
        ("0.bin", 1, 2),
        ("1.bin", 0, 0),
        ("2.bin", 1, 2),
    ]
    assert [file.done for file in files] == [PIECE_SIZE, 0, (PIECE_SIZE + 1) // 2]


def test_what_an_earlier_run_left_is_counted() -> None:
    files = DownloadProgress()
    files.add(manifest("1", 3 * PIECE_SIZE))
    files.restore("1", ~bitarray(3))
    assert [file.held for file in files] == [3]


def test_it_is_settled_when_each_was_kept_or_cannot_be() -> None:
    files = DownloadProgress()
    files.add(manifest("1", PIECE_SIZE, PIECE_SIZE))
    files.finish("1", 0, path=Path("1_0.bin"))
    files.finish("1", 0, path=Path("1_0.bin"))
    before = files.is_settled
    files.finish("1", 1, error="no room")
    assert (before, files.is_settled) == (False, True)


def test_files_that_are_not_taken_after_all_are_left_out() -> None:
    files = DownloadProgress()
    files.add(manifest("1", PIECE_SIZE, PIECE_SIZE))
    files.add(manifest("2", PIECE_SIZE))
    files.finish("1", 0, path=Path("1_0.bin"))
    files.remove("1")
    files.finish("2", 0, path=Path("2_0.bin"))
    assert files.is_settled
    assert [file.owner for file in files] == ["2"]
    assert files.of("1") == []
    assert files.of("2") == [FileProgress("2", "0.bin", PIECE_SIZE, 1, 0, Path("2_0.bin"))]
