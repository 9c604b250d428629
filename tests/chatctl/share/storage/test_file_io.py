"""Open files are few, and none is closed under those who use it."""

import os
from pathlib import Path

import pytest

from chatctl.share.storage.file_io import FileHandleCache


def is_open(descriptor: int) -> bool:
    return Path(f"/proc/self/fd/{descriptor}").exists()


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.write_text(path.name)
    return paths


def test_a_file_that_is_open_is_not_opened_again(paths: list[Path]) -> None:
    handles = FileHandleCache()
    handle = handles.get(paths[0], os.O_RDONLY)
    assert handles.get(paths[0], os.O_RDONLY) is handle


def test_the_least_recently_used_file_is_closed(paths: list[Path]) -> None:
    handles = FileHandleCache(limit=2)
    first, second = (handles.get(path, os.O_RDONLY).fileno() for path in paths[:2])
    handles.get(paths[0], os.O_RDONLY)
    third = handles.get(paths[2], os.O_RDONLY).fileno()
    assert third != second
    assert [is_open(first), is_open(second), is_open(third)] == [True, False, True]


def test_a_file_in_use_stays_open(paths: list[Path]) -> None:
    handles = FileHandleCache(limit=1)
    used = handles.get(paths[0], os.O_RDONLY)
    handles.get(paths[1], os.O_RDONLY)
    assert os.pread(used.fileno(), 1, 0) == b"a"
    descriptor = used.fileno()
    del used
    assert not is_open(descriptor)


def test_an_evicted_file_is_opened_again(paths: list[Path]) -> None:
    handles = FileHandleCache()
    handles.get(paths[0], os.O_RDONLY)
    paths[0].unlink()
    handles.evict(paths[0], paths[1])
    with pytest.raises(FileNotFoundError):
        handles.get(paths[0], os.O_RDONLY)
    with pytest.raises(FileNotFoundError):
        handles.get(paths[0], os.O_RDONLY)


def test_nothing_stays_open_at_the_end(paths: list[Path]) -> None:
    handles = FileHandleCache()
    descriptor = handles.get(paths[0], os.O_RDONLY).fileno()
    handles.clear()
    assert not is_open(descriptor)
