"""The three ways in which one log entry is told: bare, version 1, text."""

from collections.abc import Callable, Iterable, Sequence
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


def _bare(entries: Iterable[Entry]) -> list[Incoming | IncomingBroadcast]:
    told: list[Incoming | IncomingBroadcast] = []
    for entry in entries:  # most are told alone, and to begin a comprehension takes longer
        draft = entry.draft
        kind = IncomingBroadcast if draft.recipient is None else Incoming
        told.append(kind(draft.name, draft.content))
    return told


def _full(entries: Iterable[Entry]) -> list[Incoming | IncomingBroadcast]:
    return [*map(delivery, entries)]


def _text(entries: Iterable[Entry]) -> list[Raw]:
    return [
        Raw(str(render(delivery(entry), nameless=entry.draft.nameless)).encode())
        for entry in entries
    ]


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
        tell: Callable[[Iterable[Entry]], Sequence[Incoming | IncomingBroadcast | Raw]],
        encode: Callable[[Sequence[Message]], bytes] = codec.encode_lines,
    ) -> None:
        self.tell = tell
        """Returns the deliveries of entries, for `codec.encode_lines`."""
        self.encode = encode
        """Returns messages as they go over the wire, each with its newline."""

    def encode_entries(self, entries: Iterable[Entry]) -> bytes:
        """Return the deliveries of `entries` as they go over the wire."""
        return codec.encode_lines(self.tell(entries))


def _encode_text(messages: Sequence[Message]) -> bytes:
    """Return `messages` as lines, without those that only programs need."""
    lines = (render(message) for message in messages)
    return "".join(f"{line}\n" for line in lines if line is not None).encode()


Dialect.BARE = Dialect(_bare)
Dialect.FULL = Dialect(_full)
Dialect.TEXT = Dialect(_text, _encode_text)

DIALECTS: Final = (Dialect.BARE, Dialect.FULL, Dialect.TEXT)
