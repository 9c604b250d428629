"""The three ways in which one log entry is rendered: legacy, version 1, text."""

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, Final

from msgspec import UNSET, Raw

from chatd.messagelog.base import EVERYONE, Entry
from common.messages.base import Message
from common.messages.chat import Incoming, IncomingBroadcast
from common.protocol import codec
from common.protocol.text_format import render
from common.protocol.timestamps import format_time


def v1_message(entry: Entry) -> Incoming | IncomingBroadcast:
    """Return `entry` as version 1 delivers it."""
    message = entry.message
    kind = IncomingBroadcast if message.audience is EVERYONE else Incoming
    return kind(
        message.name,
        message.content,
        entry.id,
        format_time(message.sent_ns),
        message.since,
        UNSET if message.ref is None else message.ref,
    )


def _legacy_messages(entries: Iterable[Entry]) -> list[Incoming | IncomingBroadcast]:
    messages: list[Incoming | IncomingBroadcast] = []
    for entry in entries:  # most come alone, and to begin a comprehension takes longer
        message = entry.message
        kind = IncomingBroadcast if message.audience is EVERYONE else Incoming
        messages.append(kind(message.name, message.content))
    return messages


def _v1_messages(entries: Iterable[Entry]) -> list[Incoming | IncomingBroadcast]:
    return [*map(v1_message, entries)]


def _text_lines(entries: Iterable[Entry]) -> list[Raw]:
    return [
        Raw(str(render(v1_message(entry), nameless=entry.message.anonymous)).encode())
        for entry in entries
    ]


class Format:
    """What a session asked for in its hello: one of three, each a single object."""

    LEGACY: ClassVar["Format"]
    """The original protocol, not one field more."""
    V1: ClassVar["Format"]
    """Version 1."""
    TEXT: ClassVar["Format"]
    """Plain lines, for netcat."""

    def __init__(
        self,
        to_messages: Callable[[Iterable[Entry]], Sequence[Incoming | IncomingBroadcast | Raw]],
        encode: Callable[[Sequence[Message]], bytes] = codec.encode_lines,
    ) -> None:
        self.to_messages = to_messages
        """Returns the deliveries of entries, for `codec.encode_lines`."""
        self.encode = encode
        """Returns messages as they go over the wire, each with its newline."""

    def encode_entries(self, entries: Iterable[Entry]) -> bytes:
        """Return the deliveries of `entries` as they go over the wire."""
        return codec.encode_lines(self.to_messages(entries))


def _encode_text(messages: Sequence[Message]) -> bytes:
    """Return `messages` as lines, without those that only programs need."""
    lines = (render(message) for message in messages)
    return "".join(f"{line}\n" for line in lines if line is not None).encode()


Format.LEGACY = Format(_legacy_messages)
Format.V1 = Format(_v1_messages)
Format.TEXT = Format(_text_lines, _encode_text)

FORMATS: Final = (Format.LEGACY, Format.V1, Format.TEXT)
