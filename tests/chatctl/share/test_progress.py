"""Progress of the downloads: pieces of each file, and rates over one second."""

import hashlib
from pathlib import Path

import pytest
from bitarray import bitarray

from chatctl.share.progress import DownloadProgress, FileProgress, RateMeter
from common.manifest import PIECE_SIZE, FileEntry, Manifest

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


def test_it_is_settled_when_each_file_is_complete_or_failed() -> None:
    files = DownloadProgress()
    files.add(manifest("1", PIECE_SIZE, PIECE_SIZE))
    files.finish("1", 0, path=Path("1_0.bin"))
    files.finish("1", 0, path=Path("1_0.bin"))
    before = files.is_settled
    files.finish("1", 1, error="no room")
    assert (before, files.is_settled) == (False, True)


def test_removed_files_do_not_count() -> None:
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


def fed(*samples: tuple[float, int]) -> RateMeter:
    meter = RateMeter(0.0)
    for now, count in samples:
        meter.sample(now, count)
    return meter


def test_the_rate_is_that_of_the_last_second() -> None:
    meter = fed((0.5, 100), (1.0, 200), (1.5, 400), (2.0, 800))
    assert meter.rate == pytest.approx(600)


def test_the_best_second_is_kept() -> None:
    meter = fed((1.0, 100), (2.0, 900), (3.0, 1000), (4.0, 1000))
    assert meter.best == pytest.approx(800)


def test_idle_time_before_the_first_byte_does_not_count() -> None:
    meter = fed((10.0, 0), (10.1, 50), (10.2, 100))
    assert meter.best == meter.rate == pytest.approx(500)


def test_a_burst_of_less_than_a_second_is_measured_over_its_own_time() -> None:
    meter = fed((0.1, 0), (0.2, 30), (0.3, 60), (0.4, 60), (5.0, 60))
    assert meter.best == pytest.approx(300)
    assert meter.rate == 0


def test_the_rate_of_a_short_beginning_gives_way_to_that_of_a_whole_second() -> None:
    meter = fed((0.1, 1000), (0.5, 1100))
    assert meter.best == pytest.approx(2200)
    meter = fed((0.1, 1000), (0.5, 1100), (1.0, 1200), (1.6, 1300))
    assert meter.best == pytest.approx(1200)


def test_without_traffic_the_rate_is_zero() -> None:
    meter = fed((1.0, 0), (2.0, 0))
    assert meter.best == meter.rate == RateMeter(0.0).rate == 0
