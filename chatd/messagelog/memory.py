"""A message log and name store in memory, which lasts as long as the process."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Final, Generic

from msgspec import structs

from chatd.messagelog.base import (
    Appended,
    AppendResult,
    Entry,
    HistorySlice,
    LogMetrics,
    NameOwner,
    NewMessage,
    OnCommitted,
    Page,
    Sender,
    as_results,
    assign_ids,
)

_REPLAY_STEP: Final = 1_000

_BATCH: Final = 512


class MemoryLog(Generic[Sender]):
    """Keeps the newest `keep_messages` messages (>= 1) and deletes the rest with their refs.

    `call_soon` runs a function after the current loop iteration. Messages that are appended in one
    loop iteration are one batch, or several batches of about `batch` messages. A small batch is
    still in the processor's caches when it is delivered: with 16,000 direct messages in one loop
    iteration, each costs 12 % less.
    """

    def __init__(
        self,
        keep_messages: int,
        call_soon: Callable[[Callable[[], None]], object],
        batch: int = _BATCH,
        metrics: LogMetrics | None = None,
    ) -> None:
        self.name = secrets.token_hex(8)
        self.earlier_epochs: Mapping[str, int] = {}
        self.first = 1
        self.last = 0
        self._keep = keep_messages
        self._call_soon = call_soon
        self._batch = batch
        self._metrics = LogMetrics() if metrics is None else metrics
        # The last one has the id `last`. Deleted ones stay in front until there are so many that it
        # pays to move the others.
        self._entries: list[Entry] = []
        self._refs: dict[tuple[int, str | None], Entry] = {}
        self._owners: dict[str, NameOwner] = {}
        self._appended: list[tuple[Sequence[NewMessage], Sender | None]] = []
        self._waiting = 0
        self._on_committed: OnCommitted[Sender] = lambda _results: None

    async def open(self, on_committed: OnCommitted[Sender]) -> None:
        """Make ready; results go to `on_committed` from now on."""
        self._on_committed = on_committed

    def append(self, messages: Sequence[NewMessage], sender: Sender | None) -> None:
        """Take messages; their results come at the end of the loop iteration, or earlier."""
        if self._waiting + len(messages) > self._batch:
            self._commit()
        if not self._appended:
            self._call_soon(self._commit)
        self._appended.append((messages, sender))
        self._waiting += len(messages)

    async def replay(self, reader: int, after: int, through: int) -> Page:
        """Return what was delivered to `reader` in after < id <= through, or its first part."""
        start = max(after + 1, self.first)
        position = min(through, start + _REPLAY_STEP - 1)
        page = self._between(start, position + 1)
        return Page([entry for entry in page if entry.message.delivered_to(reader)], position)

    async def history(self, reader: int, before: int, limit: int) -> HistorySlice:
        """Return the newest `limit` entries visible to `reader` with id < before."""
        newer, kept = max(0, self.last - before + 1), self.last - self.first + 1
        newest = islice(reversed(self._entries), newer, kept)
        visible = (entry for entry in newest if entry.message.visible_to(reader))
        found = list(islice(visible, limit + 1))
        return HistorySlice(found[:limit][::-1], more=len(found) > limit)

    async def owner(self, key: str) -> NameOwner | None:
        """Return who owns the name with this key."""
        return self._owners.get(key)

    async def claim(self, owner: NameOwner, replacing: NameOwner | None) -> bool:
        """Give the name to `owner` if `replacing` still owns it; return whether it did."""
        present = self._owners.get(owner.key)
        is_free = replacing is None if present is None else present.is_same(replacing)
        if is_free:
            self._owners[owner.key] = owner
        return is_free

    def record_seen(self, key: str, identity: int, seen_ns: int) -> None:
        """Note that the owner was online; if another owns the name by now, do nothing."""
        owner = self._owners.get(key)
        if owner is not None and owner.identity == identity:
            self._owners[key] = structs.replace(owner, seen_ns=seen_ns)

    async def flush(self) -> None:
        """Commit what was appended and report it."""
        self._commit()

    async def close(self) -> None:
        """Commit what was appended and report it."""
        self._commit()

    def _commit(self) -> None:
        appended, self._appended, self._waiting = self._appended, [], 0
        if appended:
            last = self.last
            results = self._store(appended)
            self._metrics.commits += 1
            self._metrics.messages_committed += self.last - last
            self._trim()
            self._on_committed(results)

    def _store(self, appended: Appended[Sender]) -> list[AppendResult[Sender]]:
        entries = assign_ids(appended, self.last)
        with_ref = [entry for entry in entries if entry.message.ref is not None]
        refs = {(entry.message.author, entry.message.ref): entry for entry in with_ref}
        if len(refs) < len(with_ref) or not self._refs.keys().isdisjoint(refs):
            return [
                self._store_one(message, sender)
                for messages, sender in appended
                for message in messages
            ]
        self._entries += entries
        self._refs |= refs
        self.last += len(entries)
        return as_results(appended, entries)

    def _store_one(self, message: NewMessage, sender: Sender | None) -> AppendResult[Sender]:
        first = self._refs.get((message.author, message.ref))
        if first is not None:
            return AppendResult("duplicate", [first], sender)
        (result,) = self._store([([message], sender)])
        return result

    def _trim(self) -> None:
        first = max(self.first, self.last - self._keep + 1)
        if self._refs:
            for message in (entry.message for entry in self._between(self.first, first)):
                if message.ref is not None:
                    del self._refs[message.author, message.ref]
        self.first = first
        forgotten = len(self._entries) - (self.last - first + 1)
        if forgotten > self._keep // 64:
            del self._entries[:forgotten]

    def _between(self, start: int, end: int) -> list[Entry]:
        """Return the entries with start <= id < end."""
        before = self.last - len(self._entries) + 1
        return self._entries[start - before : end - before]
