"""The server's time file, written in a thread of its own."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Final

from common.system.files import open_locked
from common.timing.file_writer import Rows, TimeFileWriter

logger: Final = logging.getLogger(__name__)

_ROWS_PER_SLICE: Final = 1_024
"""Rows formatted before the interpreter is let go of, in 0.4 ms: the loop waits no longer."""

BATCH_INTERVAL: Final = 0.02
"""Seconds (s) that rows wait for others: what a crash can cost, and the size of a batch."""


class TimeFileThread:
    """Appends the rows of all exchanges to one file, batch by batch, never on the loop."""

    def __init__(self, path: Path) -> None:
        self.lost = 0
        """Rows that could not be written so far."""
        self._path = path
        self._rows: list[str] = []
        self.add: Callable[[str], None] = self._rows.append
        """Writes a row with the next batch; see `common.timing.file_format.format_rows`."""
        self._file: BinaryIO | None = None
        self._recorder: TimeFileWriter | None = None
        # One thread, so that everything is written in the order in which it was asked for.
        self._thread = ThreadPoolExecutor(1, "journal")
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """Make ready; raises OSError or ValueError when the file cannot be used."""
        if self._recorder is None:
            await self._loop.run_in_executor(self._thread, self._open)

    def start_block(self) -> None:
        """Begin a block."""
        self._submit(lambda recorder: recorder.start_block())
        self._timer = self._loop.call_later(BATCH_INTERVAL, self._write_batch)

    def end_block(self, duration_ns: int, *, broken_off: bool) -> None:
        """End the block, after the rows that were added to it."""
        self._stop_timer()
        self._flush()
        self._submit(lambda recorder: recorder.end_block(duration_ns, broken_off=broken_off))

    async def close(self) -> None:
        """Write what is left and let go of the file."""
        self._stop_timer()
        self._flush()
        await self._loop.run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    def _write_batch(self) -> None:
        self._flush()
        self._timer = self._loop.call_later(BATCH_INTERVAL, self._write_batch)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _flush(self) -> None:
        if self._rows:
            rows = self._rows.copy()
            self._rows.clear()
            self._submit(lambda recorder: _write(recorder, rows))

    def _submit(self, write: Callable[[TimeFileWriter], None]) -> None:
        self._thread.submit(self._run, write)

    def _run(self, write: Callable[[TimeFileWriter], None]) -> None:
        recorder = self._recorder
        if recorder is None:
            return
        was_failing = recorder.fault is not None
        write(recorder)
        self.lost = recorder.lost
        if recorder.fault is not None and not was_failing:
            logger.error("cannot write %s: %s; rows are lost", self._path, recorder.fault.strerror)
        elif was_failing and recorder.fault is None:
            logger.warning("%s is written again; %d rows were lost", self._path, recorder.lost)

    def _open(self) -> None:
        if self._recorder is not None:
            return
        file = open_locked(self._path)
        try:
            self._recorder = TimeFileWriter(file)
        except BaseException:
            file.close()
            raise
        self._file = file

    def _close(self) -> None:
        self._recorder = None
        if self._file is not None:
            self._file.close()


def _write(recorder: TimeFileWriter, rows: Rows) -> None:
    for start in range(0, len(rows), _ROWS_PER_SLICE):
        recorder.write(rows[start : start + _ROWS_PER_SLICE])
