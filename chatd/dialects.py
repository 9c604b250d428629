"""The three ways in which one log entry is told: bare, version 1, text."""

from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from msgspec import UNSET, Raw

from chatd.log.port import Entry
from common import codec
from common.messages.base import Message
from common.messages.chat import Incoming, IncomingBroadcast
from common.text import render
from common.timestamps import format_time


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


def _text(entry: Entry) -> Raw:
    return Raw(str(render(delivery(entry), nameless=entry.draft.nameless)).encode())


class Dialect:
    """What a session asked for in its hello: one of three, each a single object."""

    BARE: ClassVar["Dialect"]
    """The original protocol, not one field more."""
    FULL: ClassVar["Dialect"]
    """Version 1."""
    TEXT: ClassVar["Dialect"]
    """Plain lines, for netcat."""

    def __init__(
        self,
        tell: Callable[[Entry], Incoming | IncomingBroadcast | Raw],
        encode: Callable[[Sequence[Message]], bytes] = codec.encode_lines,
    ) -> None:
        self.tell = tell
        """Returns the delivery of an entry, for `codec.encode_lines`."""
        self.encode = encode
        """Returns messages as they go over the wire, each with its newline."""

    def encode_entry(self, entry: Entry) -> bytes:
        """Return the delivery of `entry` as it goes over the wire."""
        return codec.encode(self.tell(entry))


def _encode_text(messages: Sequence[Message]) -> bytes:
    """Return `messages` as lines, without those that only programs need."""
    lines = (render(message) for message in messages)
    return "".join(f"{line}\n" for line in lines if line is not None).encode()


Dialect.BARE = Dialect(_bare)
Dialect.FULL = Dialect(delivery)
Dialect.TEXT = Dialect(_text, _encode_text)

DIALECTS: Final = (Dialect.BARE, Dialect.FULL, Dialect.TEXT)
