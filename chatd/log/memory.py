"""A log that lives as long as the daemon."""

import secrets
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Final, Generic

from msgspec import structs

from chatd.log.port import Committed, Draft, Entry, Excerpt, Holder, Origin, Outcome, Page

_REPLAY_STEP: Final = 1_000

_BATCH: Final = 512


class MemoryLog(Generic[Origin]):
    """Keeps the newest `keep_messages` messages (>= 1) and forgets the rest, their refs included.

    `defer` runs a function after the current turn of the event loop; what was appended in one turn
    is one batch, or several if there are more than `batch` messages. So few are still in the
    processor's caches when they are delivered: 12 % off what a direct message costs where 16,000
    come in one turn.
    """

    def __init__(
        self,
        keep_messages: int,
        defer: Callable[[Callable[[], None]], object],
        batch: int = _BATCH,
    ) -> None:
        self.name = secrets.token_hex(8)
        self.ancestors: Mapping[str, int] = {}
        self.first = 1
        self.last = 0
        self._keep = keep_messages
        self._defer = defer
        self._batch = batch
        self._entries: dict[int, Entry] = {}
        self._refs: dict[tuple[int, str], Entry] = {}
        self._holders: dict[str, Holder] = {}
        self._appended: list[tuple[Draft, Origin]] = []
        self._committed: Committed[Origin] = lambda _outcomes: None

    async def open(self, committed: Committed[Origin]) -> None:
        """Make ready; outcomes go to `committed` from now on."""
        self._committed = committed

    def append(self, draft: Draft, origin: Origin) -> None:
        """Take a draft; its outcome comes at the end of the turn, or earlier if there are many."""
        if len(self._appended) == self._batch:
            self._commit()
        if not self._appended:
            self._defer(self._commit)
        self._appended.append((draft, origin))

    async def replay(self, reader: int, after: int, through: int) -> Page:
        """Return what reached `reader` in after < id <= through, or the first part of it."""
        start = max(after + 1, self.first)
        position = min(through, start + _REPLAY_STEP - 1)
        candidates = (self._entries[number] for number in range(start, position + 1))
        return Page([entry for entry in candidates if entry.draft.reaches(reader)], position)

    async def history(self, reader: int, before: int, limit: int) -> Excerpt:
        """Return the newest `limit` entries that concern `reader` with id < before."""
        newest = range(min(before - 1, self.last), self.first - 1, -1)
        candidates = (self._entries[number] for number in newest)
        concerning = (entry for entry in candidates if entry.draft.concerns(reader))
        found = list(islice(concerning, limit + 1))
        return Excerpt(found[:limit][::-1], more=len(found) > limit)

    async def holder(self, key: str) -> Holder | None:
        """Return who holds the name with this key."""
        return self._holders.get(key)

    async def hold(self, holder: Holder, instead_of: Holder | None) -> bool:
        """Let `holder` have the name if `instead_of` still has it; tell whether that was so."""
        present = self._holders.get(holder.key)
        is_free = instead_of is None if present is None else present.is_same(instead_of)
        if is_free:
            self._holders[holder.key] = holder
        return is_free

    def touch(self, key: str, identity: int, seen_ns: int) -> None:
        """Note that the holder was here; if another holds the name by now, nothing happens."""
        holder = self._holders.get(key)
        if holder is not None and holder.identity == identity:
            self._holders[key] = structs.replace(holder, seen_ns=seen_ns)

    async def flush(self) -> None:
        """Commit what was appended and report it."""
        self._commit()

    async def close(self) -> None:
        """Commit what was appended and report it."""
        self._commit()

    def _commit(self) -> None:
        appended, self._appended = self._appended, []
        if appended:
            outcomes = self._store(appended)
            self._forget_what_is_too_much()
            self._committed(outcomes)

    def _store(self, appended: Iterable[tuple[Draft, Origin]]) -> list[Outcome[Origin]]:
        outcomes, entries, refs = [], self._entries, self._refs
        for draft, origin in appended:
            signed = None if draft.ref is None else (draft.author, draft.ref)
            if signed is not None and signed in refs:
                outcomes.append(Outcome("duplicate", refs[signed], origin))
                continue
            self.last += 1
            entry = entries[self.last] = Entry(self.last, draft)
            if signed is not None:
                refs[signed] = entry
            outcomes.append(Outcome("stored", entry, origin))
        return outcomes

    def _forget_what_is_too_much(self) -> None:
        entries = self._entries
        while len(entries) > self._keep:
            draft = entries.pop(self.first).draft
            self.first += 1
            if draft.ref is not None:
                del self._refs[draft.author, draft.ref]
