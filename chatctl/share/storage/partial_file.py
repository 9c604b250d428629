"""A file of another peer: ``NAME.part`` beside a bitmap until it is whole, then ``NAME``.

The bitmap, ``NAME.part.map``, is a line that says which file this is, and then a bit for each piece
that was written. A bit follows its piece, so that after a kill the bitmap names no piece that is
not there. After a power failure it may, since nothing is synced until the file is whole, and anyone
may have touched the part: so the pieces that it names are hashed before they are believed. That
costs a second for each 1 to 2 GB, and spares a sync for each piece.


What the files of others are called here: the receiver chooses, and trusts no name.
"""

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from threading import Event, Lock
from typing import Final, NamedTuple

import msgspec
from bitarray import bitarray
from msgspec import Struct

from chatctl.errors import PartialError
from chatctl.share.storage import file_io
from chatctl.share.storage.file_io import FileHandle, FileHandleCache, Location
from common import names
from common.manifest import DIGEST_SIZE, PIECE_SIZE, FileEntry, decode_bits
from common.system.files import sync_directory

_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL
_WRITE: Final = os.O_RDWR | os.O_NOFOLLOW
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW


class FileDigestError(PartialError):
    """Every piece is what the owner announced, and the file is not: the manifest was false."""


class FilePaths(NamedTuple):
    """Where a file is, whole and unfinished."""

    final: Path
    part: Path
    bitmap: Path

    @classmethod
    def of(cls, directory: Path, name: str) -> "FilePaths":
        """Return the places of the file `name` in `directory`."""
        part, bitmap = f"{name}{PART}", f"{name}{BITMAP}"
        return cls(directory / name, directory / part, directory / bitmap)


class _BitmapHeader(Struct, frozen=True):
    size: int
    digest: str
    piece: int = PIECE_SIZE


def header(file: FileEntry) -> bytes:
    """Return the line with which the bitmap of `file` begins."""
    return msgspec.json.encode(_BitmapHeader(file.size, file.digest)) + b"\n"


class PartialFile:
    """One file; all that it does blocks. One thread writes, and another finishes what is whole.

    Its pieces are counted from 0.
    """

    def __init__(
        self,
        paths: FilePaths,
        file: FileEntry,
        digests: memoryview,
        handles: FileHandleCache,
        stop: Event,
    ) -> None:
        self.file = file
        self.path = paths.part
        """Where its bytes are now."""
        self.written = bitarray(len(digests) // DIGEST_SIZE)
        """The pieces that were verified and written."""
        self._paths = paths
        self._digests = digests
        self._handles = handles
        self._stop = stop
        self._header = header(file)
        self._renaming = Lock()

    @property
    def is_whole(self) -> bool:
        """Whether all pieces are there; it may still have to be finished."""
        return self.written.all()

    @property
    def is_finished(self) -> bool:
        """Whether it has its final name."""
        return self.path != self._paths.part

    def create(self) -> None:
        """Begin the file, sparse; raises FileExistsError when something is in its place, OSError.

        The bitmap gets its full size, so that there is always room for a bit.
        """
        made = []
        try:
            for path in (self._paths.bitmap, self._paths.part):
                FileHandle.open(path, _NEW)
                made.append(path)
            file_io.write_all(self._bitmap(), self._header + self.written.tobytes(), 0)
            os.truncate(self._part().fileno(), self.file.size)
        except OSError:
            self._handles.evict(*made)
            for path in made:
                path.unlink()
            raise

    def resume(self) -> None:
        """Go on with what an earlier run left, as far as it is right; raises OSError, Stopped."""
        with suppress(FileExistsError):
            FileHandle.open(self._paths.part, _NEW)
        os.truncate(self._part().fileno(), self.file.size)
        octets = self._paths.bitmap.read_bytes()[len(self._header) :]
        with suppress(ValueError):  # it is torn
            self.written = decode_bits(len(self.written), octets)
        self.unmark(self._find_corrupt())

    def use_existing(self) -> None:
        """Take the file that has the final name, which is known to be this one."""
        self.path = self._paths.final
        self.written = ~bitarray(len(self.written))

    def write(self, number: int, piece: bytes | bytearray | memoryview) -> bool:
        """Verify a piece, and write it if it is the right one; return whether it is.

        Raises DiskError, DiskFullError.
        """
        if hashlib.sha256(piece).digest() != self._digest(number):
            return False
        if not self.written[number]:
            with file_io.explain_os_errors(self.path):
                file_io.write_all(self._part(), piece, number * PIECE_SIZE)
                self.written[number] = True
                first = number - number % 8
                octet = self.written[first : first + 8].tobytes()
                file_io.write_all(self._bitmap(), octet, len(self._header) + number // 8)
        return True

    def unmark(self, numbers: list[int]) -> None:
        """Take pieces as not written; raises OSError."""
        for number in numbers:
            self.written[number] = False
        file_io.write_all(self._bitmap(), self.written.tobytes(), len(self._header))

    def finish(self) -> list[int]:
        """Check the whole file, and give it its final name, for good.

        Returns the pieces that are not what was written; then it is not finished. Raises
        FileDigestError, DiskError, DiskFullError, Stopped.
        """
        with file_io.explain_os_errors(self.path):
            if self.verify_and_publish():
                return []
            corrupt = self._find_corrupt()
        if not corrupt:
            raise FileDigestError(
                f"all pieces of {self.path} are as its owner announced them, but the whole has "
                f"not the SHA-256 {self.file.digest}, which it announced too: the owner is wrong"
            )
        return corrupt

    def verify_and_publish(self) -> bool:
        """Give the file its final name, for good, if it is right as a whole; return whether it is.

        Raises OSError, Stopped.
        """
        part = self._part()
        if file_io.sha256(part, self.file.size, self._stop) != self.file.digest:
            return False
        if self.file.size:
            os.fsync(part.fileno())
        self._publish()
        return True

    def open(self) -> FileHandle:
        """Return it open, for reading; raises OSError."""
        try:
            return self._open()
        except FileNotFoundError:
            with self._renaming:  # it gets its final name at this moment
                return self._open()

    def locate(self, offset: int, length: int) -> Location | None:
        """Return where these bytes are, or None when the file cannot be opened."""
        try:
            return Location(self.open(), offset, length)
        except OSError:
            return None

    def _open(self) -> FileHandle:
        return self._handles.get(self.path, _READ) if self.is_finished else self._part()

    def _part(self) -> FileHandle:
        return self._handles.get(self._paths.part, _WRITE)

    def _bitmap(self) -> FileHandle:
        return self._handles.get(self._paths.bitmap, _WRITE)

    def _digest(self, number: int) -> bytes:
        return bytes(self._digests[number * DIGEST_SIZE : (number + 1) * DIGEST_SIZE])

    def _find_corrupt(self) -> list[int]:
        """Return the pieces that are marked as written, but are not what they should be."""
        corrupt, part = [], self._part()
        for number in self.written.search(1):
            if self._stop.is_set():
                raise file_io.StorageCancelledError
            length = min(PIECE_SIZE, self.file.size - number * PIECE_SIZE)
            piece = os.pread(part.fileno(), length, number * PIECE_SIZE)
            if hashlib.sha256(piece).digest() != self._digest(number):
                corrupt.append(number)
        return corrupt

    def _publish(self) -> None:
        final, part, bitmap = self._paths
        candidates = map(final.with_name, numbered_names(final.name))
        with self._renaming:
            self.path = file_io.publish(part, candidates)
        sync_directory(final.parent)
        self._handles.evict(part, bitmap)
        part.unlink(missing_ok=True)
        bitmap.unlink()


PART: Final = ".part"
BITMAP: Final = ".part.map"
"""What is added to the name of a file that is unfinished, and to that of its bitmap."""

_MAX_BYTES: Final = 255 - len(BITMAP)
_MAX_OWNER: Final = 100
_MAX_SUFFIX: Final = 20

_SEPARATORS: Final = re.compile(r"[/\\]")
# Windows keeps these for itself, and no name that ends with a dot or a space. Its devices (CON,
# NUL, ...) are no concern, since no name here is without the underscore after the owner.
_RESERVED: Final = re.compile(r'[<>:"|?*]')


def local_name(owner: str, name: str) -> str:
    """Return what the file that `owner` calls `name` may be called in any directory.

    That is ``OWNER_NAME`` without folders, leading dots, control characters and all that is
    invisible or changes the direction of writing. With `BITMAP` it has 255 bytes at most.
    """
    last = next((part for part in reversed(_SEPARATORS.split(name)) if part.strip(". ")), "")
    base = _visible(last) or "file"
    if base.lower().endswith((PART, BITMAP)):
        base += "_"  # what is named so is unfinished
    prefix = _cut(_visible(_SEPARATORS.sub("_", owner)), _MAX_OWNER)
    stem, suffix = _split(f"{prefix}_{base}")
    return _cut(stem, _MAX_BYTES - len(suffix.encode())) + suffix


def numbered_names(name: str) -> Iterator[str]:
    """Yield `name`, ``STEM-2.SUFFIX``, ``STEM-3.SUFFIX``, … without end, none too long."""
    yield name
    stem, suffix = _split(name)
    for number in count(2):
        ending = f"-{number}{suffix}"
        yield _cut(stem, _MAX_BYTES - len(ending.encode())) + ending


def _visible(text: str) -> str:
    normal = unicodedata.normalize("NFC", text)
    spaced = "".join(" " if character.isspace() else character for character in normal)
    seen = "".join(character for character in spaced if names.invisible_kind(character) is None)
    return _RESERVED.sub("_", seen).lstrip(". ").rstrip(". ")


def _split(name: str) -> tuple[str, str]:
    """Part a name into stem and suffix; what is too long to be one is no suffix."""
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix.encode()) > _MAX_SUFFIX:
        return name, ""
    return stem, dot + suffix


def _cut(text: str, most: int) -> str:
    """Return what of `text` fits into `most` bytes."""
    encoded = text.encode()
    if len(encoded) <= most:
        return text
    return encoded[:most].decode(errors="ignore").rstrip(". ")
