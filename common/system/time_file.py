"""A time file written by a background thread, so that no event loop waits for the disk."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Final, TypeAlias

from common.system.files import open_locked
from common.timing.file_writer import TimeFileWriter

_ROWS_PER_SLICE: Final = 1_024
"""Rows formatted before the interpreter is released, in 0.4 ms: the loop waits no longer."""

_Action: TypeAlias = Callable[[TimeFileWriter], None]


class TimeFileThread:
    """Appends blocks of stamps to the file at `path`, batch by batch, in a thread of its own.

    While a block is open, rows are written every `batch_interval` seconds (s): that is what a crash
    can cost. Between blocks the thread sleeps. When writing fails, as on a full disk, rows are lost
    and counted, and the thread calls `notify` with a text for people; it does so again when writing
    works again.
    """

    def __init__(self, path: Path, batch_interval: float, notify: Callable[[str], object]) -> None:
        self.path = path
        self.lost = 0
        """Rows that could not be written so far."""
        self._batch_interval = batch_interval
        self._notify = notify
        # Two threads may use the two ends of a deque at once.
        self._queue: deque[str | _Action] = deque()
        self.add: Callable[[str], None] = self._queue.append
        """Writes a row with the next batch; see `common.timing.file_format.format_rows`."""
        self._has_open_block = False
        self._is_closing = False
        self._wakeup = Event()
        self._opening = Lock()
        self._thread: Thread | None = None

    async def open(self) -> None:
        """Lock the file and start the thread, unless that was done before.

        Raises BlockingIOError when another program writes the file, OSError when it cannot be
        opened, and ValueError when it is no time file.
        """
        if self._thread is None:
            await asyncio.to_thread(self._open)

    async def close(self) -> None:
        """Write what is left, then close the file."""
        if self._thread is not None:
            self._is_closing = True
            self._wakeup.set()
            await asyncio.to_thread(self._thread.join)

    def start_block(self) -> None:
        """Begin a block."""
        self._queue.append(TimeFileWriter.start_block)
        self._has_open_block = True
        self._wakeup.set()

    def end_block(self, duration_ns: int, *, broken_off: bool) -> None:
        """End the block, which took `duration_ns`, after the rows that were added to it."""
        self._queue.append(lambda writer: writer.end_block(duration_ns, broken_off=broken_off))
        self._has_open_block = False
        self._wakeup.set()

    def _open(self) -> None:
        with self._opening:
            if self._thread is not None:
                return
            file = open_locked(self.path)
            try:
                writer = TimeFileWriter(file)
            except BaseException:
                file.close()
                raise

            def run() -> None:
                with file:
                    self._write_batches(writer)

            self._thread = Thread(target=run, name="time file", daemon=True)
            self._thread.start()

    def _write_batches(self, writer: TimeFileWriter) -> None:
        while not self._is_closing:
            self._wakeup.wait(self._batch_interval if self._has_open_block else None)
            self._wakeup.clear()
            self._write_batch(writer)

    def _write_batch(self, writer: TimeFileWriter) -> None:
        was_failing = writer.error is not None
        rows: list[str] = []
        while self._queue:
            item = self._queue.popleft()
            if isinstance(item, str):
                rows.append(item)
                if len(rows) < _ROWS_PER_SLICE:
                    continue
            writer.write(rows)
            rows = []
            if not isinstance(item, str):
                item(writer)
        writer.write(rows)
        self.lost = writer.lost
        if writer.error is not None and not was_failing:
            reason = (writer.error.strerror or str(writer.error)).lower()
            self._report(f"cannot write {self.path}: {reason}; its rows are lost")
        elif writer.error is None and was_failing:
            self._report(f"{self.path} can be written again; {self.lost} rows were lost")

    def _report(self, text: str) -> None:
        with suppress(OSError):  # where nobody reads stderr, the rows still count
            self._notify(text)
