"""From the log to everyone it concerns: the only way a chat message is delivered."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import UNSET

from chatd.dialects import Dialect
from chatd.log.port import Entry, Outcome
from chatd.outbox import Part
from chatd.roster import Roster
from chatd.session import Session
from common.codec import encode
from common.messages.base import Error
from common.messages.chat import Ack


class Fanout:
    """Delivers each batch that the log commits.

    Most members get the same from a batch: all its broadcasts. That is encoded once for each
    dialect, joined once and shared. Only the authors and the recipients of direct messages are set
    apart and get their own join, in log order like everyone's.
    """

    def __init__(self, roster: Roster) -> None:
        self.last = 0
        """Newest log id that was delivered."""
        self._roster = roster

    def deliver(self, outcomes: Sequence[Outcome[Session]]) -> None:
        """Queue what `outcomes` mean for everyone who is live; the log calls this."""
        batch = _Batch(self._roster.live)
        for outcome in outcomes:
            outcome.origin.inflight.done()
            if outcome.kind == "stored":
                self.last = outcome.entry.id
                self._deliver_entry(outcome, batch)
            if outcome.entry.draft.ref is not None or outcome.kind == "failed":
                batch.of(outcome.origin).append(_answer(outcome))
        batch.queue(self.last)

    def _deliver_entry(self, outcome: Outcome[Session], batch: "_Batch") -> None:
        entry = outcome.entry
        if entry.draft.recipient is None:
            # The author may have come back on another connection since.
            author = self._roster.of(entry.draft.author)
            batch.add_broadcast(entry, author or outcome.origin)
            return
        recipient = self._roster.of(entry.draft.recipient)
        if recipient is not None and recipient.is_live:
            batch.of(recipient).append(recipient.outbox.dialect.encode_entry(entry))


class _Batch:
    """What one batch means: the broadcasts in order, and what those get who are set apart."""

    def __init__(self, live: Mapping[Dialect, Iterable[Session]]) -> None:
        self._live = live
        self._shared: dict[Dialect, list[bytes]] = {
            dialect: [] for dialect, sessions in live.items() if sessions
        }
        self._apart: dict[Session, list[bytes]] = {}

    def of(self, session: Session) -> list[bytes]:
        """Return what `session` alone gets; from now on it is set apart."""
        own = self._apart.get(session)
        if own is None:
            # Up to here it got what everyone got.
            own = self._shared[session.outbox.dialect].copy() if session.is_live else []
            self._apart[session] = own
        return own

    def add_broadcast(self, entry: Entry, author: Session) -> None:
        """Add a broadcast for everyone but its author."""
        self.of(author)
        for dialect, encoded in self._shared.items():
            encoded.append(dialect.encode_entry(entry))
        for session, encoded in self._apart.items():
            if session.is_live and session is not author:
                encoded.append(self._shared[session.outbox.dialect][-1])

    def queue(self, last: int) -> None:
        """Put everything into the outboxes; `last` is the newest id in the batch."""
        for dialect, encoded in self._shared.items():
            if encoded:
                part = Part(b"".join(encoded), last)
                for session in self._live[dialect]:
                    if session not in self._apart:
                        session.outbox.put(part)
        for session, encoded in self._apart.items():
            if encoded and not session.is_closing:
                session.outbox.put(Part(b"".join(encoded), last))


def _answer(outcome: Outcome[Session]) -> bytes:
    ref = outcome.entry.draft.ref
    if outcome.kind == "failed":
        detail = f"the message was not stored and not delivered: {outcome.failure}"
        error = Error("storage_failed", detail, ref=UNSET if ref is None else ref)
        return outcome.origin.outbox.dialect.encode([error])
    is_duplicate = True if outcome.kind == "duplicate" else UNSET
    return encode(Ack(ref or "", outcome.entry.id, is_duplicate))
