"""A partly received file: ``NAME.part`` beside a bitmap until it is complete, then ``NAME``.

The bitmap, ``NAME.part.map``, is a line that says which file this is, followed by one bit for each
piece that was written. A bit is written after its piece, so after a kill the bitmap names no piece
that is missing. After a power failure it may, because nothing is synced until the file is complete,
and anyone may have changed the part. So a resumed download hashes the pieces that the bitmap names.
That takes a second for each 1 to 2 GB, and saves a sync for each piece.
"""

import hashlib
import os
from contextlib import suppress
from threading import Event, Lock
from typing import Final

import msgspec
from bitarray import bitarray
from msgspec import Struct

from chatctl.errors import PartialError
from chatctl.share.storage import file_io
from chatctl.share.storage.file_io import FileHandle, FileHandleCache, Location
from chatctl.share.storage.filenames import FilePaths, numbered_names
from common.manifest import DIGEST_SIZE, PIECE_SIZE, FileEntry, decode_bits
from common.system.files import sync_directory

_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL
_WRITE: Final = os.O_RDWR | os.O_NOFOLLOW
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW


class FileDigestError(PartialError):
    """Every piece has the announced digest but the whole file has not: the manifest is wrong."""


class _BitmapHeader(Struct, frozen=True):
    size: int
    digest: str
    piece: int = PIECE_SIZE


def header(file: FileEntry) -> bytes:
    """Return the first line of the bitmap of `file`."""
    return msgspec.json.encode(_BitmapHeader(file.size, file.digest)) + b"\n"


class PartialFile:
    """A file that is being received; its pieces are numbered from 0.

    All methods block. One thread writes pieces, and another finishes complete files.
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
        """The current path of the file."""
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
        """Whether all pieces are there; it may not be finished yet."""
        return self.written.all()

    @property
    def is_finished(self) -> bool:
        """Whether it has its final name."""
        return self.path != self._paths.part

    def create(self) -> None:
        """Create the sparse file and its bitmap; raises OSError, FileExistsError if one exists.

        The bitmap gets its full size at once, so that setting a bit never runs out of space.
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
        """Continue with what an earlier run left, after verifying its pieces.

        Raises OSError, StorageCancelledError.
        """
        with suppress(FileExistsError):
            FileHandle.open(self._paths.part, _NEW)
        os.truncate(self._part().fileno(), self.file.size)
        octets = self._paths.bitmap.read_bytes()[len(self._header) :]
        with suppress(ValueError):  # it is torn
            self.written = decode_bits(len(self.written), octets)
        self.unmark(self._find_corrupt())

    def use_existing(self) -> None:
        """Use the file that has the final name, which is known to be this one."""
        self.path = self._paths.final
        self.written = ~bitarray(len(self.written))

    def write(self, number: int, piece: bytes | bytearray | memoryview) -> bool:
        """Verify a piece, and write it if it is correct; return whether it is.

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
        """Mark pieces as not written; raises OSError."""
        for number in numbers:
            self.written[number] = False
        file_io.write_all(self._bitmap(), self.written.tobytes(), len(self._header))

    def finish(self) -> list[int]:
        """Verify the whole file and give it its final name; return the pieces that are corrupt.

        If any is, the file is not finished. Raises FileDigestError, DiskError, DiskFullError,
        StorageCancelledError.
        """
        with file_io.explain_os_errors(self.path):
            if self.verify_and_publish():
                return []
            corrupt = self._find_corrupt()
        if not corrupt:
            raise FileDigestError(
                f"all pieces of {self.path} have the digests that its owner announced, but the "
                f"whole file has not ({self.file.digest}): the owner's manifest is wrong"
            )
        return corrupt

    def verify_and_publish(self) -> bool:
        """Sync the file and give it its final name if its SHA-256 is correct; return whether it is.

        Raises OSError, StorageCancelledError.
        """
        part = self._part()
        if file_io.sha256(part, self.file.size, self._stop) != self.file.digest:
            return False
        if self.file.size:
            os.fsync(part.fileno())
        self._publish()
        return True

    def open(self) -> FileHandle:
        """Return the file, open for reading; raises OSError."""
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
        """Return the pieces that are marked as written but do not have their digest."""
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
