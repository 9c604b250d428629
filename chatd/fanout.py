"""From the log to everyone it concerns: the only way a chat message is delivered."""

from collections.abc import Sequence
from typing import TypeAlias

from msgspec import UNSET

from chatd.dialects import Dialect
from chatd.log.port import Entry, Outcome
from chatd.outbox import Part
from chatd.roster import Roster
from chatd.session import Session
from common.codec import encode
from common.messages.base import Error
from common.messages.chat import Ack

_Apart: TypeAlias = dict[Session, list[bytes]]
_Shared: TypeAlias = dict[Dialect, list[bytes]]


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
        live = self._roster.live
        apart = self._set_apart(outcomes)
        shared: _Shared = {dialect: [] for dialect, sessions in live.items() if sessions}
        for outcome in outcomes:
            if outcome.kind == "stored":
                self.last = outcome.entry.id
                self._deliver_entry(outcome.entry, shared, apart)
            self._answer_author(outcome, apart[outcome.origin])
        for dialect, encoded in shared.items():
            if encoded:
                part = Part(b"".join(encoded), self.last)
                for session in live[dialect]:
                    if session not in apart:
                        session.outbox.put(part)
        for session, encoded in apart.items():
            if encoded and not session.is_closing:
                session.outbox.put(Part(b"".join(encoded), self.last))

    def _set_apart(self, outcomes: Sequence[Outcome[Session]]) -> _Apart:
        apart: _Apart = {}
        for outcome in outcomes:
            draft = outcome.entry.draft
            apart[outcome.origin] = []
            # The author may have come back on another connection since.
            for identity in (draft.author, draft.recipient):
                session = self._roster.of(identity) if identity is not None else None
                if session is not None:
                    apart[session] = []
        return apart

    def _deliver_entry(self, entry: Entry, shared: _Shared, apart: _Apart) -> None:
        draft = entry.draft
        if draft.recipient is not None:
            recipient = self._roster.of(draft.recipient)
            if recipient is not None and recipient.is_live:
                apart[recipient].append(recipient.outbox.dialect.encode_entry(entry))
            return
        for dialect, encoded in shared.items():
            encoded.append(dialect.encode_entry(entry))
        for session, encoded in apart.items():
            if session.is_live and session.identity != draft.author:
                encoded.append(shared[session.outbox.dialect][-1])

    def _answer_author(self, outcome: Outcome[Session], encoded: list[bytes]) -> None:
        outcome.origin.inflight.done()
        ref = outcome.entry.draft.ref
        match outcome.kind:
            case "failed":
                error = Error(
                    reason="storage_failed",
                    detail=f"the message was not stored and not delivered: {outcome.failure}",
                    ref=UNSET if ref is None else ref,
                )
                encoded.append(outcome.origin.outbox.dialect.encode([error]))
            case "duplicate" if ref is not None:
                encoded.append(encode(Ack(ref, outcome.entry.id, duplicate=True)))
            case "stored" if ref is not None:
                encoded.append(encode(Ack(ref, outcome.entry.id)))
