"""A message log and name store in SQLite, with threads that write, read and checkpoint."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, Generic

from msgspec import structs

from chatd.messagelog.base import (
    HistorySlice,
    LogMetrics,
    NameOwner,
    NewMessage,
    OnCommitted,
    Page,
    Retention,
    Sender,
    StorageError,
    UnusableLogError,
)
from chatd.messagelog.sqlite.checkpoint import Checkpointer
from chatd.messagelog.sqlite.group_commit import GroupCommit
from chatd.messagelog.sqlite.open import FILE, Durability, connect, connect_to_read, open_database
from chatd.messagelog.sqlite.statements import Database
from chatd.messagelog.sqlite.thread import DatabaseThread
from chatd.messagelog.sqlite.writer import LogWriter
from common.system.files import open_locked
from common.system.threads import LoopCaller

_LOCK: Final = "log.lock"


class SqliteLog(Generic[Sender]):
    """Keeps messages and the owners of names in a database in `directory`.

    `wall_ns` returns ns since the Unix epoch. `boot` names the boot of the machine, for tests; the
    default is the kernel's id.
    """

    def __init__(
        self,
        directory: Path,
        durability: Durability,
        retention: Retention,
        wall_ns: Callable[[], int],
        *,
        boot: str | None = None,
        metrics: LogMetrics | None = None,
    ) -> None:
        self.name = ""
        self.earlier_epochs: Mapping[str, int] = {}
        self._directory = directory
        self._durability: Durability = durability
        self._retention = retention
        self._wall_ns = wall_ns
        self._boot = boot
        self._lock: BinaryIO | None = None
        self._loop_caller: LoopCaller | None = None
        self._writer_thread = DatabaseThread("log-writer")
        self._reader_thread = DatabaseThread("log-reader")
        self._checkpoint_thread = DatabaseThread("log-checkpointer")
        self._group_commit = GroupCommit[Sender](
            self._writer_thread, LogMetrics() if metrics is None else metrics
        )

    @property
    def first(self) -> int:
        """The oldest id that is kept."""
        return self._group_commit.first

    @property
    def last(self) -> int:
        """The newest id that was reported."""
        return self._group_commit.last

    async def open(self, on_committed: OnCommitted[Sender]) -> None:
        """Make ready; results go to `on_committed` from now on. Raises UnusableLogError."""
        self._lock = _lock(self._directory)
        self._loop_caller = LoopCaller()
        path = self._directory / FILE
        try:
            await self._writer_thread.open(
                lambda: open_database(path, self._durability, boot=self._boot)
            )
            await self._checkpoint_thread.open(lambda: connect(path, self._durability))
            await self._reader_thread.open(lambda: connect_to_read(path))
        except BaseException:
            await self._release()
            raise
        self.earlier_epochs = await self._writer_thread.run(Database.earlier_epochs)
        self.name, first, last = await self._writer_thread.run(
            lambda database: (database.name, database.first, database.last)
        )
        call_in_loop = self._loop_caller.call
        writer = LogWriter[Sender](
            Checkpointer(self._checkpoint_thread),
            self._retention,
            self._wall_ns,
            post=lambda result: call_in_loop(partial(self._group_commit.on_result, result)),
        )
        self._group_commit.start(writer, first, last, on_committed)

    def append(self, messages: Sequence[NewMessage], sender: Sender | None) -> None:
        """Take messages; their results come after the commit that stores them."""
        self._group_commit.append(messages, sender)

    async def replay(self, reader: int, after: int, through: int) -> Page:
        """Return what was delivered to `reader` in after < id <= through, or its first part."""
        return await self._reader_thread.run(
            lambda database: database.replay(reader, after, through)
        )

    async def history(self, reader: int, before: int, limit: int) -> HistorySlice:
        """Return the newest `limit` entries visible to `reader` with id < before."""
        # A message that is committed but not yet reported is not part of the history.
        end = min(before, self.last + 1)
        return await self._reader_thread.run(lambda database: database.history(reader, end, limit))

    async def owner(self, key: str) -> NameOwner | None:
        """Return who owns the name with this key."""
        identity, seen_ns = self._group_commit.seen.get(key, (0, 0))
        owner = await self._reader_thread.run(lambda database: database.owner(key))
        if owner is not None and owner.identity == identity:
            return structs.replace(owner, seen_ns=max(seen_ns, owner.seen_ns))
        return owner

    async def claim(self, owner: NameOwner, replacing: NameOwner | None) -> bool:
        """Give the name to `owner` if `replacing` still owns it; return whether it did."""
        return await self._group_commit.claim(owner, replacing)

    def record_seen(self, key: str, identity: int, seen_ns: int) -> None:
        """Note that the owner was online; a later commit stores it."""
        self._group_commit.seen[key] = (identity, seen_ns)

    async def flush(self) -> None:
        """Return when all that was appended so far is committed and reported.

        By then, everything that is not kept is deleted.
        """
        await self._group_commit.flush()
        await self._writer_thread.join()

    async def close(self) -> None:
        """Flush and close the files; closing again does nothing."""
        if self._lock is not None:
            await self._group_commit.stop()
            # If the disk does not store it, the next start finds out whether anything was lost.
            with suppress(StorageError):
                await self._writer_thread.run(Database.close_epoch)
            await self._release()

    async def _release(self) -> None:
        # The writer closes last: the last connection checkpoints the write-ahead log.
        await self._reader_thread.close()
        await self._checkpoint_thread.close()
        await self._writer_thread.close()
        if self._loop_caller is not None:
            self._loop_caller.close()
            self._loop_caller = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _lock(directory: Path) -> BinaryIO:
    # Not the database itself: to close any descriptor of it would drop the locks of SQLite on it.
    path = directory / _LOCK
    try:
        return open_locked(path)
    except BlockingIOError:
        raise UnusableLogError(
            f"another chatd is using {directory}; stop it, or choose another directory with --data"
        ) from None
    except OSError as error:
        raise UnusableLogError(f"cannot open {path}: {error.strerror}") from None
