"""Fan-out: delivers what the log commits to every session that gets it. There is no other way."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import UNSET, Raw, Struct

from chatd.core.formats import Format
from chatd.core.presence import Presence
from chatd.core.send_queue import EncodedChunk
from chatd.core.session import Session
from chatd.messagelog.base import EVERYONE, AppendResult, Audience, Entry, Everyone
from common.messages.base import Error, Message
from common.messages.chat import Ack


class Fanout:
    """Delivers each batch that the log commits.

    Most members get the same part of a batch: all its broadcasts. These are encoded once per format
    and shared. Only authors and recipients of direct messages get a stream of their own, in log
    order like everyone's.
    """

    def __init__(self, presence: Presence) -> None:
        self.last = 0
        """Newest log id that was delivered."""
        self._presence = presence

    def deliver(self, results: Sequence[AppendResult[Session]]) -> None:
        """Queue the messages and acknowledgements of `results`; the log calls this."""
        delivery = _BatchDelivery(self._presence.live)
        session_by_identity = self._presence.by_identity
        for result in results:
            entries, sender = result.entries, result.sender
            if sender is not None:
                sender.inflight.done(len(entries))
            if result.kind != "stored":
                if sender is not None:
                    delivery.individual(sender).add(*_replies(result))
                continue
            self.last = entries[-1].id
            previous: Audience = EVERYONE
            direct = None
            for entry in entries:
                message = entry.message
                audience = message.audience
                if audience is not previous:  # an audience that is equal finds the same stream
                    previous = audience
                    direct = (
                        None
                        if isinstance(audience, Everyone)
                        else delivery.direct(session_by_identity(audience.id))
                    )
                if audience is EVERYONE:
                    # The author may have reconnected since.
                    delivery.add_broadcast(entry, session_by_identity(message.author) or sender)
                elif direct is not None:
                    direct.append(entry)
                if message.ref is not None and sender is not None:
                    delivery.individual(sender).add(Ack(message.ref, entry.id))
        delivery.queue(self.last)


class _BatchDelivery:
    """The deliveries of one batch: the broadcasts in order, and the streams of single sessions.

    A broadcast is encoded once, however many streams there are. A stream takes the broadcasts that
    it lacks in one slice, before something of its own is added and at the end.
    """

    def __init__(self, live: Mapping[Format, Iterable[Session]]) -> None:
        self._live = live
        self._broadcasts = {
            wire_format: bytearray() for wire_format, sessions in live.items() if sessions
        }
        self._has_broadcasts = False
        self._individual: dict[Session, _PersonalStream] = {}

    def individual(self, session: Session) -> "_PersonalStream":
        """Return the stream of `session`, which from now on does not share in the broadcasts."""
        stream = self._individual.get(session)
        if stream is None:
            stream = self._individual[session] = _PersonalStream(session.send_queue.format)
        if self._has_broadcasts:
            self._catch_up(session, stream)
        return stream

    def direct(self, session: Session | None) -> list[Entry] | None:
        """Return where to add direct messages for `session`; None where it is not live."""
        return self.individual(session).direct if session is not None and session.is_live else None

    def add_broadcast(self, entry: Entry, author: Session | None) -> None:
        """Add a broadcast for everyone but its author, who may have no session on this node."""
        stream = None if author is None else self.individual(author)
        for wire_format, broadcasts in self._broadcasts.items():
            broadcasts.extend(wire_format.encode_entries([entry]))
        if author is not None and stream is not None and author.is_live:
            stream.position = len(self._broadcasts[author.send_queue.format])
        self._has_broadcasts = True

    def queue(self, last: int) -> None:
        """Put everything into the send queues; `last` is the newest id in the batch."""
        encoded = {
            wire_format: bytes(broadcasts) for wire_format, broadcasts in self._broadcasts.items()
        }
        if self._has_broadcasts:
            for wire_format, all_broadcasts in encoded.items():
                chunk = EncodedChunk(all_broadcasts, last)
                for session in self._live[wire_format]:
                    if session not in self._individual:
                        session.send_queue.put(chunk)
        for session, stream in self._individual.items():
            if self._has_broadcasts:
                self._catch_up(session, stream)
            if not session.is_closing:
                encoded_stream = stream.encode(encoded.get(session.send_queue.format, b""))
                if encoded_stream:
                    session.send_queue.put(EncodedChunk(encoded_stream, last))

    def _catch_up(self, session: Session, stream: "_PersonalStream") -> None:
        if session.is_live:
            stream.catch_up(len(self._broadcasts[session.send_queue.format]))


class _PersonalStream(Struct, gc=False):
    """The stream of one session: pieces in log order, and messages that are not encoded yet.

    Messages that follow each other are encoded in one call, which took 20 % off the cost of a
    direct message.
    """

    wire_format: Format
    direct: list[Entry] = []
    """Direct messages to it, which follow the other messages."""
    position: int = 0
    """Where it stands in the bytes of the broadcasts."""
    _messages: list[Message | Raw] | None = None
    _pieces: list[bytes | slice] | None = None

    def add(self, *messages: Message) -> None:
        """Add replies."""
        self._with_direct().extend(messages)

    def catch_up(self, end: int) -> None:
        """Take the broadcasts that it lacks, up to `end`."""
        if self.position < end:
            pieces = self._close_piece()
            pieces.append(slice(self.position, end))
            self.position = end

    def encode(self, broadcasts: bytes) -> bytes:
        """Return the encoded stream; its slices are of `broadcasts`."""
        if self._pieces is None:
            if self._messages is None:
                return self.wire_format.encode_entries(self.direct)
            return self.wire_format.encode(self._with_direct())
        view = memoryview(broadcasts)
        pieces = self._close_piece()
        return b"".join(view[one] if isinstance(one, slice) else one for one in pieces)

    def _close_piece(self) -> list[bytes | slice]:
        """Encode the messages as a piece, so that another piece can follow."""
        pieces = self._pieces = self._pieces or []
        if messages := self._with_direct():
            pieces.append(self.wire_format.encode(messages))
            messages.clear()
        return pieces

    def _with_direct(self) -> list[Message | Raw]:
        """Move the direct messages to the other messages; return all of them."""
        messages = self._messages = self._messages or []
        if self.direct:
            messages.extend(self.wire_format.to_messages(self.direct))
            self.direct.clear()
        return messages


def _replies(result: AppendResult[Session]) -> Iterator[Message]:
    """Return the replies to the sender of messages that were not stored now."""
    for entry in result.entries:
        ref = UNSET if entry.message.ref is None else entry.message.ref
        if result.kind == "failed":
            detail = f"the message was not stored and not delivered: {result.error}"
            yield Error("storage_failed", detail, ref=ref)
        elif ref is not UNSET:
            yield Ack(ref, entry.id, duplicate=True)
