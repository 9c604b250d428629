"""Files of one's own: what others are told of them, and that they get nothing else."""

import asyncio
import hashlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chatctl.errors import UsageError
from chatctl.share.storage import file_io
from chatctl.share.storage.file_io import FileHandle, Location
from chatctl.share.storage.source_file import ChangedFileError, hash_files
from common.manifest import MAX_FILES, PIECE_SIZE, decode, encode
from tests.support.share_storage import MB, PeerFiles, StoreHarness, open_store, random_bytes

CONTENT = random_bytes(2 * PIECE_SIZE + 9)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "mine.txt"
    path.write_bytes(CONTENT)
    return path


def sent(location: Location) -> bytes:
    """Return what arrives when the bytes go from file to socket by themselves."""
    here, there = socket.socketpair()
    with here, there:
        file, offset, length = location
        assert os.sendfile(here.fileno(), file.fileno(), offset, length) == length
        return there.recv(length, socket.MSG_WAITALL)


async def sharing(harness: StoreHarness, *paths: Path) -> None:
    harness.store.add_own(await hash_files("me", paths))


@pytest.mark.parametrize(
    "size", [0, 1, PIECE_SIZE, PIECE_SIZE + 1, MB - 1, MB, 2 * MB + PIECE_SIZE + 1]
)
async def test_a_manifest_says_what_the_files_are(tmp_path: Path, size: int) -> None:
    expected = PeerFiles(
        "1", ("a", random_bytes(size)), ("b", random_bytes(size, 2)), ("a", b"third")
    )
    for folder, content in zip(("x", "y", "z"), expected.contents, strict=True):
        (tmp_path / folder).mkdir()
        name = "b" if folder == "y" else "a"
        (tmp_path / folder / name).write_bytes(content)
    shared_files = await hash_files("1", [tmp_path / "x/a", tmp_path / "y/b", tmp_path / "z/a"])
    assert shared_files.manifest == expected.manifest
    encoded = encode(shared_files.manifest)
    assert decode(encoded, 10 * MB) == shared_files.manifest


async def test_nothing_may_be_shared() -> None:
    shared_files = await hash_files("1", [])
    assert decode(encode(shared_files.manifest), 0) == shared_files.manifest


async def test_a_file_name_need_not_be_utf_8(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.txt")
    path.touch()
    manifest = (await hash_files("1", [path])).manifest
    assert manifest.files[0].name == "caf\ufffd.txt"
    assert decode(encode(manifest), 0) == manifest


async def test_a_link_to_a_file_can_be_shared(tmp_path: Path, path: Path) -> None:
    (tmp_path / "link").symlink_to(path)
    manifest = (await hash_files("1", [tmp_path / "link"])).manifest
    assert (manifest.files[0].name, manifest.size) == ("link", 2 * PIECE_SIZE + 9)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (os.mkdir, "is a directory; name the files"),
        (os.mkfifo, "is not a regular file; name the files"),
        (lambda path: None, "cannot share .*: no such file"),
        (lambda path: path.symlink_to(path), "cannot share .*: too many levels of symbolic links"),
    ],
)
async def test_a_file_that_cannot_be_shared_is_named_with_the_reason(
    tmp_path: Path, make: Callable[[Path], None], message: str
) -> None:
    make(tmp_path / "it")
    with pytest.raises(UsageError, match=message):
        await hash_files("1", [tmp_path / "it"])


async def test_too_many_files_are_refused_before_one_is_read() -> None:
    with pytest.raises(UsageError, match="4097 files are too many"):
        await hash_files("1", [Path("nowhere")] * (MAX_FILES + 1))


Change = Callable[[Path], None]


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"other")


def cut(path: Path) -> None:
    os.truncate(path, PIECE_SIZE)


def changed_while_read(monkeypatch: pytest.MonkeyPatch, path: Path, change: Change) -> None:
    """Have `change` done to the file at `path` as soon as it is being read."""
    chunks = file_io.chunks

    def meddled(file: FileHandle, *rest: Any) -> object:
        os.utime(path, ns=(0, 0))  # lest all happens within one tick of the clock of the disk
        change(path)
        return chunks(file, *rest)

    monkeypatch.setattr(file_io, "chunks", meddled)


@pytest.mark.parametrize("change", [overwrite, cut])
async def test_a_file_that_is_changed_while_it_is_read_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch, change: Change
) -> None:
    changed_while_read(monkeypatch, path, change)
    with pytest.raises(UsageError, match=r"mine\.txt changed while it was read"):
        await hash_files("1", [path])


async def test_a_file_that_grows_while_it_is_read_is_shared_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed_while_read(monkeypatch, path, append)
    (file,) = (await hash_files("1", [path])).manifest.files
    assert (file.size, file.digest) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


async def test_hashing_ends_soon_when_nobody_waits_for_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.truncate(path, 2**40)
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def begin(path: Path) -> None:
        loop.call_soon_threadsafe(begun.set)

    changed_while_read(monkeypatch, path, begin)
    hashing = asyncio.ensure_future(hash_files("1", [path]))
    await begun.wait()
    hashing.cancel()
    await asyncio.gather(hashing, return_exceptions=True)
    await loop.shutdown_default_executor()  # which waits for the thread


async def test_own_files_are_sent_from_where_they_are(tmp_path: Path, path: Path) -> None:
    async with open_store(tmp_path / "out") as harness:
        await sharing(harness, path)
        assert harness.store.held("me").count() == 3
        for index, length in enumerate((PIECE_SIZE, PIECE_SIZE, 9)):
            expected = CONTENT[index * PIECE_SIZE :][:length]
            assert await harness.store.read("me", index) == expected
            location = harness.store.locate("me", index)
            assert location
            assert location.length == length
            assert sent(location) == expected
    assert list((tmp_path / "out").iterdir()) == []


async def test_a_file_that_has_grown_is_still_sent_as_it_was_but_verified(
    tmp_path: Path, path: Path
) -> None:
    async with open_store(tmp_path / "out") as harness:
        await sharing(harness, path)
        append(path)
        for index in range(3):
            assert harness.store.locate("me", index) is None
            assert (
                await harness.store.read("me", index) == CONTENT[index * PIECE_SIZE :][:PIECE_SIZE]
            )


async def test_a_piece_that_has_changed_is_not_sent_and_the_others_are(
    tmp_path: Path, path: Path
) -> None:
    async with open_store(tmp_path / "out") as harness:
        await sharing(harness, path)
        os.utime(path, ns=(0, 0))
        overwrite(path)
        assert harness.store.locate("me", 0) is None
        with pytest.raises(ChangedFileError, match=r"mine\.txt changed after sharing began"):
            await harness.store.read("me", 0)
        assert len(await harness.store.read("me", 1)) == PIECE_SIZE


def replace(path: Path) -> None:
    (path.parent / "new").write_bytes(bytes(2 * PIECE_SIZE + 9))
    (path.parent / "new").replace(path)


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (Path.unlink, "cannot read .*mine.txt any more: no such file"),
        (replace, "mine.txt changed"),
        (fifo, "cannot read .*mine.txt any more: illegal seek"),
        (cut, "mine.txt changed"),
    ],
)
async def test_a_file_that_is_gone_is_not_sent(
    tmp_path: Path, path: Path, change: Change, message: str
) -> None:
    async with open_store(tmp_path / "out") as harness:
        await sharing(harness, path)
        change(path)
        assert harness.store.locate("me", 1) is None
        with pytest.raises(ChangedFileError, match=message):
            await harness.store.read("me", 1)


async def test_own_files_cannot_be_written(tmp_path: Path, path: Path) -> None:
    async with open_store(tmp_path / "out") as harness:
        await sharing(harness, path)
        with pytest.raises(KeyError):
            harness.store.write("me", 0, CONTENT[:PIECE_SIZE])
