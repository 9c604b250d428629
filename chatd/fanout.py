"""From the log to everyone it concerns: the only way a chat message is delivered."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import UNSET, Raw, Struct

from chatd.dialects import Dialect
from chatd.log.port import Entry, Outcome
from chatd.outbox import Part
from chatd.roster import Roster
from chatd.session import Session
from common.codec import encode_lines
from common.messages.base import Error, Message
from common.messages.chat import Ack


class Fanout:
    """Delivers each batch that the log commits.

    Most members get the same from a batch: all its broadcasts. That is encoded once for each
    dialect and shared. Only the authors and the recipients of direct messages are set apart and get
    lines of their own, in log order like everyone's.
    """

    def __init__(self, roster: Roster) -> None:
        self.last = 0
        """Newest log id that was delivered."""
        self._roster = roster

    def deliver(self, outcomes: Sequence[Outcome[Session]]) -> None:
        """Queue what `outcomes` mean for everyone who is live; the log calls this."""
        batch, session_of = _Batch(self._roster.live), self._roster.of
        for outcome in outcomes:
            entries, origin = outcome.entries, outcome.origin
            origin.inflight.done(len(entries))
            if outcome.kind != "stored":
                batch.own(origin).say(*_answers(outcome))
                continue
            self.last = entries[-1].id
            reader, letters = None, None
            for entry in entries:
                draft = entry.draft
                if draft.recipient is None:
                    # The author may have come back on another connection since.
                    batch.add_broadcast(entry, session_of(draft.author) or origin)
                    letters = None
                elif draft.recipient != reader:
                    letters = batch.letters(session_of(draft.recipient))
                reader = draft.recipient
                if letters is not None:
                    letters.append(entry)
                if draft.ref is not None:
                    batch.own(origin).say(Ack(draft.ref, entry.id))
        batch.queue(self.last)


class _Batch:
    """What one batch means: the broadcasts in order, and what those get who are set apart.

    A broadcast is written down once, however many are set apart: each of them takes what it has
    not heard yet in one piece, before something of its own is added and at the end.
    """

    def __init__(self, live: Mapping[Dialect, Iterable[Session]]) -> None:
        self._live = live
        self._shared = {dialect: bytearray() for dialect, sessions in live.items() if sessions}
        self._is_shared = False
        self._apart: dict[Session, _Own] = {}

    def own(self, session: Session) -> "_Own":
        """Return where to add what is for `session` alone; from now on it is set apart."""
        own = self._apart.get(session)
        if own is None:
            own = self._apart[session] = _Own(session.outbox.dialect)
        if self._is_shared:
            self._catch_up(session, own)
        return own

    def letters(self, session: Session | None) -> list[Entry] | None:
        """Return where to add direct messages for `session`, if there is one that gets them now."""
        return self.own(session).letters if session is not None and session.is_live else None

    def add_broadcast(self, entry: Entry, author: Session) -> None:
        """Add a broadcast for everyone but its author."""
        own = self.own(author)
        for dialect, shared in self._shared.items():
            shared.extend(dialect.encode_entries([entry]))
        if author.is_live:
            own.heard = len(self._shared[author.outbox.dialect])
        self._is_shared = True

    def queue(self, last: int) -> None:
        """Put everything into the outboxes; `last` is the newest id in the batch."""
        encoded = {dialect: bytes(shared) for dialect, shared in self._shared.items()}
        if self._is_shared:
            for dialect, everything in encoded.items():
                part = Part(everything, last)
                for session in self._live[dialect]:
                    if session not in self._apart:
                        session.outbox.put(part)
        for session, own in self._apart.items():
            if self._is_shared:
                self._catch_up(session, own)
            if not session.is_closing:
                stream = own.encode(encoded.get(session.outbox.dialect, b""))
                if stream:
                    session.outbox.put(Part(stream, last))

    def _catch_up(self, session: Session, own: "_Own") -> None:
        if session.is_live:
            own.catch_up(len(self._shared[session.outbox.dialect]))


class _Own(Struct, gc=False):
    """What one session gets that is set apart: pieces in log order, and what is behind them.

    All that follows each other is told in one call and encoded in one call, which took 20 % off
    what a direct message costs.
    """

    dialect: Dialect
    letters: list[Entry] = []
    """Direct messages to it, behind the lines."""
    heard: int = 0
    """How far it is in the bytes of the broadcasts."""
    _lines: list[Message | Raw] | None = None
    _pieces: list[bytes | slice] | None = None

    def say(self, *lines: Message | Raw) -> None:
        """Add lines that are no letters."""
        self._tell().extend(lines)

    def catch_up(self, end: int) -> None:
        """Take the broadcasts that it has not heard, up to `end`."""
        if self.heard < end:
            pieces = self._close_lines()
            pieces.append(slice(self.heard, end))
            self.heard = end

    def encode(self, broadcasts: bytes) -> bytes:
        """Return all of it as it goes over the wire; its slices are of `broadcasts`."""
        if self._pieces is None:
            if self._lines is None:
                return self.dialect.encode_entries(self.letters)
            return encode_lines(self._tell())
        shared = memoryview(broadcasts)
        pieces = self._close_lines()
        return b"".join(shared[one] if isinstance(one, slice) else one for one in pieces)

    def _close_lines(self) -> list[bytes | slice]:
        """Make a piece of the lines, so that more can be added to the pieces."""
        pieces = self._pieces = self._pieces or []
        if lines := self._tell():
            pieces.append(encode_lines(lines))
            lines.clear()
        return pieces

    def _tell(self) -> list[Message | Raw]:
        """Make lines of the letters; return all lines."""
        lines = self._lines = self._lines or []
        if self.letters:
            lines.extend(self.dialect.tell(self.letters))
            self.letters.clear()
        return lines


def _answers(outcome: Outcome[Session]) -> Iterator[Message | Raw]:
    """Return what the origin is told of what was not stored now."""
    for entry in outcome.entries:
        ref = UNSET if entry.draft.ref is None else entry.draft.ref
        if outcome.kind == "failed":
            detail = f"the message was not stored and not delivered: {outcome.failure}"
            error = Error("storage_failed", detail, ref=ref)
            yield Raw(outcome.origin.outbox.dialect.encode([error])[:-1])
        elif ref is not UNSET:
            yield Ack(ref, entry.id, duplicate=True)
