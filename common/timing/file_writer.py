"""Appends to a time file so that after any crash it is intact up to the last batch.

The caller opens and closes the file. Everything here may block: an event loop runs it in a thread
(`common.system.time_file`).
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol, TypeAlias

from common.timing.file_format import (
    block_end,
    block_start,
    broken_end,
    continue_after,
    format_rows,
)

Rows: TypeAlias = Sequence[str]
"""Stamps to write; see `common.timing.file_format.format_rows`."""

_TAIL: Final = 4096


class BinaryFile(Protocol):
    """An unbuffered binary file, open for reading and writing."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Set the position; return the new one."""

    def read(self, size: int = -1, /) -> bytes | None:
        """Read up to `size` bytes."""

    def write(self, content: bytes, /) -> int | None:
        """Write; return how many bytes the system accepted."""

    def truncate(self, size: int | None = None, /) -> int:
        """Truncate the file."""


class TimeFileWriter:
    """Appends blocks of stamps to a time file and continues its row numbers.

    A block that an earlier run left open is closed first. When a batch cannot be written, as on a
    full disk, its part is cut off, its rows are counted in `lost`, and the next batch tries again.

    Raises ValueError when the file is no time file, OSError when it cannot be read.
    """

    def __init__(self, file: BinaryFile) -> None:
        self.lost = 0
        """Rows that could not be written."""
        self.error: OSError | None = None
        """Why batches cannot be written, since the first that failed; None while they can."""
        self._file = file
        self._size = file.seek(0, 2)
        self._number = 0
        self._is_torn = False
        # Ends and starts of blocks that are still to be written before the next rows.
        self._pending = self._continue()

    def start_block(self) -> None:
        """Begin a block; its title is written with its first rows."""
        self._pending += block_start(first=not self._size and not self._pending)

    def write(self, rows: Rows) -> None:
        """Write rows, if any, into the open block."""
        if rows:
            self._append(format_rows(self._number + 1, rows), len(rows))

    def end_block(self, duration_ns: int, *, broken_off: bool) -> None:
        """End the block, which ran for `duration_ns`."""
        end = broken_end if broken_off else block_end
        self._append(end(duration_ns), 0)

    def _append(self, text: str, rows: int) -> None:
        content = (self._pending + text).encode()
        try:
            self._cut()
            self._write_all(content)
        except OSError as error:
            self.error = self.error or error
            self.lost += rows
            if not rows:
                self._pending += text
            # Readers should find whole lines. If this fails, the next batch does it.
            with suppress(OSError):
                self._cut()
        else:
            self.error = None
            self._pending = ""
            self._size += len(content)
            self._number += rows

    def _write_all(self, content: bytes) -> None:
        self._is_torn = True
        left = memoryview(content)
        while left:
            left = left[self._file.write(bytes(left)) or 0 :]
        self._is_torn = False

    def _cut(self) -> None:
        """Cut off what a failed write left behind `_size`."""
        if self._is_torn:
            self._file.truncate(self._size)
            self._file.seek(self._size)
            self._is_torn = False

    def _continue(self) -> str:
        length = _TAIL
        while True:
            found = continue_after(self._read_tail(length))
            if found.last_number or length >= self._size:
                break
            length *= 16
        self._number = found.last_number
        self._size -= found.cut
        self._is_torn = found.cut > 0
        self._file.seek(self._size)
        return found.closing

    def _read_tail(self, length: int) -> str:
        length = min(length, self._size)
        self._file.seek(self._size - length)
        return (self._file.read(length) or b"").decode("latin-1")
