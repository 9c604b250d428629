"""A log that lives as long as the daemon."""

import secrets
from collections.abc import Callable
from itertools import islice
from typing import Final, Generic

from msgspec import structs

from chatd.log.port import Committed, Draft, Entry, Excerpt, Holder, Origin, Outcome, Page

_REPLAY_STEP: Final = 1_000


class MemoryLog(Generic[Origin]):
    """Keeps the newest `keep_messages` messages (>= 1) and forgets the rest, their refs included.

    `defer` runs a function after the current turn of the event loop; what was appended in one turn
    is one batch.
    """

    def __init__(self, keep_messages: int, defer: Callable[[Callable[[], None]], object]) -> None:
        self.name = secrets.token_hex(8)
        self.first = 1
        self.last = 0
        self._keep = keep_messages
        self._defer = defer
        self._entries: dict[int, Entry] = {}
        self._refs: dict[tuple[int, str], Entry] = {}
        self._holders: dict[str, Holder] = {}
        self._appended: list[tuple[Draft, Origin]] = []
        self._committed: Committed[Origin] = lambda _outcomes: None

    async def open(self, committed: Committed[Origin]) -> None:
        """Make ready; outcomes go to `committed` from now on."""
        self._committed = committed

    def append(self, draft: Draft, origin: Origin) -> None:
        """Take a draft; its outcome comes at the end of the turn."""
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
            outcomes = [self._store(draft, origin) for draft, origin in appended]
            while len(self._entries) > self._keep:
                self._forget_first()
            self._committed(outcomes)

    def _store(self, draft: Draft, origin: Origin) -> Outcome[Origin]:
        if draft.ref is not None:
            first = self._refs.get((draft.author, draft.ref))
            if first is not None:
                return Outcome("duplicate", first, origin)
        self.last += 1
        entry = self._entries[self.last] = Entry(self.last, draft)
        if draft.ref is not None:
            self._refs[draft.author, draft.ref] = entry
        return Outcome("stored", entry, origin)

    def _forget_first(self) -> None:
        draft = self._entries.pop(self.first).draft
        self.first += 1
        if draft.ref is not None:
            del self._refs[draft.author, draft.ref]
