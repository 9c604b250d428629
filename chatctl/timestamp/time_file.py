"""The client's time file: locked while it is written, written in a thread of its own."""

import fcntl
from collections import deque
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import BinaryIO, Final, Self

from chatctl.errors import UsageError, why
from common.timing.file_writer import TimeFileWriter

BATCH: Final = 0.1
"""How long (s) rows wait for others: what a crash can cost."""

_Action = Callable[[TimeFileWriter], None]


class ClientTimeFile:
    """Appends blocks of stamps to the file at `path`, batch by batch; nothing here waits for it.

    On a full disk rows are lost and counted; `notify` is called when that begins and when it ends,
    from the thread that writes. Leaving the context writes what is left.

    Raises UsageError when the file cannot be used: another client writes it, or it is no time file.
    """

    def __init__(self, path: Path, notify: Callable[[str], object]) -> None:
        self.path = path
        self._notify = notify
        self._file = _open_locked(path)
        try:
            self._recorder = TimeFileWriter(self._file)
        except (OSError, ValueError) as error:
            self._file.close()
            raise UsageError(f"cannot use {path}: {why(error)}") from None
        # Both ends of a deque may be used by two threads at once.
        self._queue: deque[str | _Action] = deque()
        self._closing = Event()
        self._thread = Thread(target=self._run, name="time file")

    @property
    def rows_lost(self) -> int:
        """Rows that could not be written so far."""
        return self._recorder.lost

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._thread.join()
        self._file.close()

    def start_block(self) -> None:
        """Begin a block."""
        self._queue.append(TimeFileWriter.start_block)

    def add(self, row: str) -> None:
        """Write a stamp; see `common.timing.file_format.format_rows`."""
        self._queue.append(row)

    def end_block(self, duration_ns: int, *, broken_off: bool) -> None:
        """End the block, which took `duration_ns`."""
        self._queue.append(lambda recorder: recorder.end_block(duration_ns, broken_off=broken_off))

    def _run(self) -> None:
        while not self._closing.wait(BATCH):
            self._write()
        self._write()

    def _write(self) -> None:
        was_failing = self._recorder.fault is not None
        rows = []
        while self._queue:
            item = self._queue.popleft()
            if isinstance(item, str):
                rows.append(item)
                continue
            self._recorder.write(rows)
            rows = []
            item(self._recorder)
        self._recorder.write(rows)
        error = self._recorder.fault
        if error is not None and not was_failing:
            self._notify(f"cannot write {self.path}: {why(error)}; the exchange goes on without")
        elif error is None and was_failing:
            self._notify(f"{self.path} is written again; {self.rows_lost} rows were lost")


def _open_locked(path: Path) -> BinaryIO:
    try:
        file = path.open("a+b", buffering=0)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {why(error)}; choose another --out") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise UsageError(
            f"{path} is being written by another client; wait for it, or choose another --id"
        ) from None
    return file
