"""The text format: what a person types and what a terminal shows, one line each.

The input is the same in netcat and in ``chatctl chat``: ``user|text`` goes to one person,
``*|text`` or just ``text`` to everyone, ``who`` lists the users, ``quit`` leaves.
"""

import unicodedata
from collections.abc import Iterator
from typing import Final

from common.messages import ClientMessage, chat
from common.messages.base import Error, Message
from common.protocol.codec import MAX_LINE, InvalidLine
from common.protocol.framing import BLANK, Framer
from common.protocol.registry import not_utf8, too_long

_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# The joiners stay: emoji and several scripts need them, and they do not move the cursor.
_JOINERS: Final = frozenset("\u200c\u200d")


def parse_line(line: str) -> chat.Who | chat.Quit | chat.Outgoing | chat.OutgoingBroadcast:
    """Return the message that a typed `line` stands for."""
    match line:
        case "who":
            return chat.Who()
        case "quit":
            return chat.Quit()
    to, bar, content = line.partition("|")
    if not bar:
        return chat.OutgoingBroadcast(content=line)
    if to.strip() == "*":
        return chat.OutgoingBroadcast(content=content)
    return chat.Outgoing(to=to.strip(), content=content)


def escape_control(text: str) -> str:
    """Escape characters that move the cursor, start a line or reverse the writing direction."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in _UNSAFE and character not in _JOINERS
        else character
        for character in text
    )


def render(message: Message, *, anonymous: bool = False) -> str | None:
    """Return what a terminal shows for `message`, or None for what only programs need.

    An `anonymous` author never chose a name, so a broadcast shows none.
    """
    match message:
        case chat.IncomingBroadcast(author=author, content=content, since=since):
            name = "" if anonymous else f" {escape_control(author)}"
            return f"{since}{name} < {escape_control(content)}"
        case chat.Incoming(author=author, content=content, since=since):
            return f"{since} {escape_control(author)} (to you) < {escape_control(content)}"
        case chat.Users(users=users):
            return "\n".join(["current users:", *map(escape_control, users), ""])
        case chat.Joined(name=name):
            return f"* {escape_control(name)} joined"
        case chat.Left(name=name):
            return f"* {escape_control(name)} left"
        case chat.Gap(first=first):
            return f"! messages before number {first} are no longer kept"
        case Error(detail=detail):
            return f"! {escape_control(detail)}"
    return None


class TextDecoder:
    """Turns typed lines into the same messages as the JSON decoder."""

    __slots__ = ("_block", "_consumed", "_framer", "_max_line")

    def __init__(self, max_line: int = MAX_LINE) -> None:
        self._framer = Framer(max_line)
        self._max_line = max_line
        # The whole lines that are being decoded, and how far a consumer got in them.
        self._block = b""
        self._consumed = 0

    def feed(self, chunk: bytes) -> Iterator[ClientMessage | InvalidLine]:
        """Yield the messages that `chunk` completes; consume them before the next call."""
        self._block = self._framer.feed(chunk)
        self._consumed = 0
        for line in self._block[:-1].split(b"\n") if self._block else ():
            self._consumed += len(line) + 1
            yield from self._decode_line(line)
        if self._framer.overflow():
            yield InvalidLine(too_long(self._max_line))

    def finish(self) -> Iterator[ClientMessage | InvalidLine]:
        """Yield what the end of file completes: an unfinished line counts as the last line."""
        return self._decode_line(self._framer.take_rest())

    def take_rest(self) -> bytes:
        """Return the bytes behind the last line that was consumed, and forget them."""
        rest = self._block[self._consumed :] + self._framer.take_rest()
        self._block = b""
        self._consumed = 0
        return rest

    def _decode_line(self, line: bytes) -> Iterator[ClientMessage | InvalidLine]:
        if len(line) > self._max_line:
            yield InvalidLine(too_long(self._max_line))
        elif line.strip(BLANK):
            try:
                yield parse_line(line.removesuffix(b"\r").decode())
            except UnicodeDecodeError as error:
                yield InvalidLine(not_utf8(error))
