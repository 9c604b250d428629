"""A log that lives as long as the daemon."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Final, Generic

from msgspec import structs

from chatd.log.port import (
    Appended,
    Committed,
    Draft,
    Entry,
    Excerpt,
    NameOwner,
    Origin,
    Outcome,
    Page,
    enter,
    stored,
)

_REPLAY_STEP: Final = 1_000

_BATCH: Final = 512


class MemoryLog(Generic[Origin]):
    """Keeps the newest `keep_messages` messages (>= 1) and forgets the rest, their refs included.

    `defer` runs a function after the current loop iteration; what was appended in one turn
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
        # Up to the one with the id `last`. What is forgotten stays in front until it is enough to
        # be worth moving the others.
        self._entries: list[Entry] = []
        self._refs: dict[tuple[int, str | None], Entry] = {}
        self._holders: dict[str, NameOwner] = {}
        self._appended: list[tuple[Sequence[Draft], Origin]] = []
        self._waiting = 0
        self._committed: Committed[Origin] = lambda _outcomes: None

    async def open(self, committed: Committed[Origin]) -> None:
        """Make ready; outcomes go to `committed` from now on."""
        self._committed = committed

    def append(self, drafts: Sequence[Draft], origin: Origin) -> None:
        """Take drafts; their outcomes come at the end of the turn, or earlier if there are many."""
        if self._waiting + len(drafts) > self._batch:
            self._commit()
        if not self._appended:
            self._defer(self._commit)
        self._appended.append((drafts, origin))
        self._waiting += len(drafts)

    async def replay(self, reader: int, after: int, through: int) -> Page:
        """Return what reached `reader` in after < id <= through, or the first part of it."""
        start = max(after + 1, self.first)
        position = min(through, start + _REPLAY_STEP - 1)
        page = self._between(start, position + 1)
        return Page([entry for entry in page if entry.draft.reaches(reader)], position)

    async def history(self, reader: int, before: int, limit: int) -> Excerpt:
        """Return the newest `limit` entries that concern `reader` with id < before."""
        newer, kept = max(0, self.last - before + 1), self.last - self.first + 1
        newest = islice(reversed(self._entries), newer, kept)
        concerning = (entry for entry in newest if entry.draft.concerns(reader))
        found = list(islice(concerning, limit + 1))
        return Excerpt(found[:limit][::-1], more=len(found) > limit)

    async def owner(self, key: str) -> NameOwner | None:
        """Return who holds the name with this key."""
        return self._holders.get(key)

    async def claim(self, owner: NameOwner, replacing: NameOwner | None) -> bool:
        """Let `owner` have the name if `replacing` still has it; tell whether that was so."""
        present = self._holders.get(owner.key)
        is_free = replacing is None if present is None else present.is_same(replacing)
        if is_free:
            self._holders[owner.key] = owner
        return is_free

    def record_seen(self, key: str, identity: int, seen_ns: int) -> None:
        """Note that the owner was here; if another holds the name by now, nothing happens."""
        owner = self._holders.get(key)
        if owner is not None and owner.identity == identity:
            self._holders[key] = structs.replace(owner, seen_ns=seen_ns)

    async def flush(self) -> None:
        """Commit what was appended and report it."""
        self._commit()

    async def close(self) -> None:
        """Commit what was appended and report it."""
        self._commit()

    def _commit(self) -> None:
        appended, self._appended, self._waiting = self._appended, [], 0
        if appended:
            outcomes = self._store(appended)
            self._forget_what_is_too_much()
            self._committed(outcomes)

    def _store(self, appended: Appended[Origin]) -> list[Outcome[Origin]]:
        entries = enter(appended, self.last)
        with_ref = [entry for entry in entries if entry.draft.ref is not None]
        refs = {(entry.draft.author, entry.draft.ref): entry for entry in with_ref}
        if len(refs) < len(with_ref) or not self._refs.keys().isdisjoint(refs):
            return [
                self._store_one(draft, origin) for drafts, origin in appended for draft in drafts
            ]
        self._entries += entries
        self._refs |= refs
        self.last += len(entries)
        return stored(appended, entries)

    def _store_one(self, draft: Draft, origin: Origin) -> Outcome[Origin]:
        first = self._refs.get((draft.author, draft.ref))
        if first is not None:
            return Outcome("duplicate", [first], origin)
        (outcome,) = self._store([([draft], origin)])
        return outcome

    def _forget_what_is_too_much(self) -> None:
        first = max(self.first, self.last - self._keep + 1)
        if self._refs:
            for draft in (entry.draft for entry in self._between(self.first, first)):
                if draft.ref is not None:
                    del self._refs[draft.author, draft.ref]
        self.first = first
        forgotten = len(self._entries) - (self.last - first + 1)
        if forgotten > self._keep // 64:
            del self._entries[:forgotten]

    def _between(self, start: int, end: int) -> list[Entry]:
        """Return the entries with start <= id < end."""
        before = self.last - len(self._entries) + 1
        return self._entries[start - before : end - before]
