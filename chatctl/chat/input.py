"""What a person types in a chat: messages, commands, and names to complete."""

from collections.abc import AsyncIterator, Iterable
from os.path import commonprefix
from typing import NamedTuple, Protocol

from msgspec import structs

from chatctl.client import ChatMessage, Event, Outgoing, OutgoingBroadcast, Receipt
from common.messages.chat import Quit, Who
from common.names import fold
from common.protocol.text_format import parse_line


class ChatClient(Protocol):
    """What a conversation needs of `chatctl.client.Client`, which documents these methods."""

    async def who(self) -> list[str]:
        """Return the names of those present."""

    async def submit(self, message: ChatMessage) -> Receipt:
        """Send `message`; return when it is in the log."""

    async def quit(self) -> None:
        """End the session."""

    def __aiter__(self) -> AsyncIterator[Event]:
        """Iterate over all events; asking for the next one marks the last as seen."""

    def events(self) -> AsyncIterator[Event]:
        """Iterate over all events; `seen` marks them."""

    def seen(self, *events: Event) -> None:
        """Mark events as seen."""


def parse_input(text: str) -> Who | Quit | ChatMessage | None:
    """Return the message or command that `text` stands for, None if it is blank.

    Several lines (a paste) are one message, and the first line names the recipient: no second line
    of a private message goes to everyone.
    """
    if not text.strip():
        return None
    first, newline, rest = text.strip("\n").partition("\n")
    parsed = parse_line(first)
    if not newline:
        return parsed
    match parsed:
        case Outgoing(content=content) | OutgoingBroadcast(content=content):
            return structs.replace(parsed, content=f"{content}\n{rest}".lstrip("\n"))
        case Who() | Quit():
            return OutgoingBroadcast(f"{first}\n{rest}")


class Completion(NamedTuple):
    """The completed line, and the names it may stand for if there are several."""

    text: str
    choices: list[str]


def complete(typed: str, names: Iterable[str]) -> Completion:
    """Complete the name at the start of `typed`, ignoring case; a single match gives ``name|``."""
    if "|" in typed:
        return Completion(typed, [])
    start = fold(typed)
    found = sorted((name for name in names if fold(name).startswith(start)), key=fold)
    if len(found) == 1:
        return Completion(f"{found[0]}|", [])
    common = commonprefix(found)  # noqa: RUF071 - names are no paths
    return Completion(common if len(common) > len(typed) else typed, found)
