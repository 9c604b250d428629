"""The three ways in which one log entry is told: bare, version 1, text."""

from collections.abc import Sequence
from enum import Enum

from msgspec import UNSET

from chatd.log.port import Entry
from common import codec
from common.messages.base import Message
from common.messages.chat import Incoming, IncomingBroadcast
from common.text import render
from common.timestamps import format_time


class Dialect(Enum):
    """What a session asked for in its hello."""

    BARE = "bare"
    """The original protocol, not one field more."""
    FULL = "version 1"
    TEXT = "text"

    def encode(self, messages: Sequence[Message]) -> bytes:
        """Return `messages` as they go over the wire, each with its newline."""
        if self is not Dialect.TEXT:
            return codec.encode_lines(messages)
        lines = (render(message) for message in messages)
        return "".join(f"{line}\n" for line in lines if line is not None).encode()

    def encode_entry(self, entry: Entry) -> bytes:
        """Return the delivery of `entry` as it goes over the wire."""
        match self:
            case Dialect.BARE:
                return codec.encode(_bare(entry))
            case Dialect.FULL:
                return codec.encode(delivery(entry))
            case Dialect.TEXT:
                line = render(delivery(entry), nameless=entry.draft.nameless)
                return f"{line}\n".encode()


def delivery(entry: Entry) -> Incoming | IncomingBroadcast:
    """Return `entry` as version 1 delivers it."""
    draft = entry.draft
    kind = IncomingBroadcast if draft.recipient is None else Incoming
    return kind(
        draft.name,
        draft.content,
        entry.id,
        format_time(draft.sent_ns),
        draft.since,
        UNSET if draft.ref is None else draft.ref,
    )


def _bare(entry: Entry) -> Incoming | IncomingBroadcast:
    draft = entry.draft
    kind = IncomingBroadcast if draft.recipient is None else Incoming
    return kind(draft.name, draft.content)
