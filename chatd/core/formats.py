"""Wire formats: how messages and log entries become bytes, and bytes become messages.

A format owns encoding, framing and decoding. Nothing else in the daemon knows where a message ends
on the wire: a format that frames messages differently needs no change outside this file.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, Final, Protocol

from msgspec import UNSET, Raw

from chatd.messagelog.base import EVERYONE, Entry
from common.messages import ClientMessage, Message, ServerMessage
from common.messages.chat import Incoming, IncomingBroadcast
from common.protocol.codec import Decoder, InvalidLine, encode_lines
from common.protocol.registry import FROM_CLIENT
from common.protocol.text_format import TextDecoder, render
from common.protocol.timestamps import format_time


class MessageDecoder(Protocol):
    """Turns the bytes of one connection into messages, however the bytes are cut into chunks."""

    def feed(self, chunk: bytes) -> Iterable[ClientMessage | InvalidLine]:
        """Return what became complete with `chunk`; to be consumed before the next call.

        A list or a tuple holds no message that changes the format.
        """

    def finish(self) -> Iterable[ClientMessage | InvalidLine]:
        """Return what the end of input completes."""

    def take_rest(self) -> bytes:
        """Return the bytes behind the last message that was consumed, and forget them."""


class Format:
    """A wire format; there is one object for each. A session asks for one in its hello."""

    LEGACY: ClassVar["Format"]
    """The original protocol, without any later field; every session starts in it."""
    V1: ClassVar["Format"]
    """Version 1 of the protocol."""
    TEXT: ClassVar["Format"]
    """Plain lines, for netcat."""

    def __init__(
        self,
        make_decoder: Callable[[int], MessageDecoder],
        encode: Callable[[Sequence[ServerMessage | Raw]], bytes],
        to_messages: Callable[[Iterable[Entry]], Sequence[Incoming | IncomingBroadcast | Raw]],
    ) -> None:
        self.make_decoder = make_decoder
        """Returns a decoder for one connection, given the longest message in bytes.

        Formats that read alike share the factory: between them nothing has to be replaced.
        """
        self.encode = encode
        """Returns messages as they go over the wire, framed; a Raw is framed as it is."""
        self.to_messages = to_messages
        """Returns the deliveries of entries, for `encode`."""

    def encode_entries(self, entries: Iterable[Entry]) -> bytes:
        """Return the deliveries of `entries` as they go over the wire."""
        return self.encode(self.to_messages(entries))


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


def _v1_messages(entries: Iterable[Entry]) -> list[Incoming | IncomingBroadcast]:
    return [*map(v1_message, entries)]


def _legacy_messages(entries: Iterable[Entry]) -> list[Incoming | IncomingBroadcast]:
    messages: list[Incoming | IncomingBroadcast] = []
    for entry in entries:  # most come alone, and to begin a comprehension takes longer
        message = entry.message
        kind = IncomingBroadcast if message.audience is EVERYONE else Incoming
        messages.append(kind(message.name, message.content))
    return messages


def _text_messages(entries: Iterable[Entry]) -> list[Raw]:
    # Rendered here, where it is known whether the author ever chose a name.
    return [
        Raw(str(render(v1_message(entry), anonymous=entry.message.anonymous)).encode())
        for entry in entries
    ]


def _json_decoder(max_line: int) -> MessageDecoder:
    return Decoder(FROM_CLIENT, max_line)


def _encode_text(messages: Sequence[ServerMessage | Raw]) -> bytes:
    """Return `messages` as lines, without those that only programs need."""
    encoded = bytearray()
    for message in messages:
        if isinstance(message, Raw):
            encoded += bytes(message) + b"\n"
        elif isinstance(message, Message) and (line := render(message)) is not None:
            encoded += line.encode() + b"\n"
    return bytes(encoded)


Format.LEGACY = Format(_json_decoder, encode_lines, _legacy_messages)
Format.V1 = Format(_json_decoder, encode_lines, _v1_messages)
Format.TEXT = Format(TextDecoder, _encode_text, _text_messages)

FORMATS: Final = (Format.LEGACY, Format.V1, Format.TEXT)
