"""What a person typed, and how it is sent.

Names completed as a shell completes them.
"""

from collections.abc import AsyncIterator, Iterable
from os.path import commonprefix
from typing import NamedTuple, Protocol

from msgspec import structs

from chatctl.client.events import Event, Receipt
from common.messages.chat import Outgoing, OutgoingBroadcast, Quit, Who
from common.names import fold
from common.protocol.text_format import parse_line


class ChatClient(Protocol):
    """What a conversation needs of a client."""

    async def who(self) -> list[str]:
        """Return the names of those present."""

    async def send(self, to: str, text: str) -> Receipt:
        """Send to one."""

    async def broadcast(self, text: str) -> Receipt:
        """Send to everyone else."""

    async def quit(self) -> None:
        """Say goodbye."""

    def __aiter__(self) -> AsyncIterator[Event]:
        """Iterate over what happens, until the end; to ask for more says that one is done."""

    def events(self) -> AsyncIterator[Event]:
        """Iterate over the same, without saying so."""

    def seen(self, *events: Event) -> None:
        """Say that one is done with these."""


def parse_input(text: str) -> Who | Quit | Outgoing | OutgoingBroadcast | None:
    """Return what `text` asks for, None where it is blank.

    Several lines, as one pastes them, are one message, and the first line says to whom: nothing
    that was meant for one goes to everyone because it had a second line.
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


async def send_message(message: Outgoing | OutgoingBroadcast, client: ChatClient) -> Receipt:
    """Send `message`; raises what the client raises."""
    match message:
        case Outgoing(to=to, content=content):
            return await client.send(to, content)
        case OutgoingBroadcast(content=content):
            return await client.broadcast(content)


class Completion(NamedTuple):
    """What the line becomes, and which names it may stand for where that is not sure."""

    text: str
    choices: list[str]


def complete(typed: str, names: Iterable[str]) -> Completion:
    """Complete the name that `typed` begins, in any case, to ``name|`` where there is only one."""
    if "|" in typed:
        return Completion(typed, [])
    start = fold(typed)
    found = sorted((name for name in names if fold(name).startswith(start)), key=fold)
    if len(found) == 1:
        return Completion(f"{found[0]}|", [])
    common = commonprefix(found)  # noqa: RUF071 - names are no paths
    return Completion(common if len(common) > len(typed) else typed, found)
