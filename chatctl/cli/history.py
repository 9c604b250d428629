"""The history: fetched backwards, page by page, and printed forwards."""

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from tempfile import SpooledTemporaryFile
from typing import Final, Protocol, Self, TypeAlias

from chatctl.client import HistoryPage, Incoming, IncomingBroadcast, ProtocolError
from common.names import fold
from common.protocol.codec import encode
from common.protocol.text_format import escape_control
from common.protocol.timestamps import parse_time

Delivery: TypeAlias = Incoming | IncomingBroadcast
MessageFilter: TypeAlias = Callable[[Delivery], bool]

PAGE: Final = 1000
"""Messages in a page, the most that a server sends."""

_IN_MEMORY: Final = 8 * 2**20


class HistorySource(Protocol):
    """A client or reader that can fetch the history."""

    async def history(self, before: int | None = None, limit: int = PAGE) -> HistoryPage:
        """Return the newest messages before the id `before`, oldest first."""


class ReverseSpool:
    """Takes pages newest first and returns their lines oldest first; large ones wait on disk."""

    def __init__(self) -> None:
        self.count = 0
        """Messages in the spool."""
        self._file = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - __exit__ closes it
        self._sizes: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[bytes]:
        """Yield pages of lines, as they are on the wire."""
        end = sum(self._sizes)
        for size in reversed(self._sizes):
            end -= size
            self._file.seek(end)
            yield self._file.read(size)

    async def fill(
        self,
        newest_first: AsyncIterator[list[Delivery]],
        matches: MessageFilter,
        oldest_ns: int = 0,
        limit: int = sys.maxsize,
    ) -> None:
        """Keep the newest `limit` (>= 1) messages that match and are not older than `oldest_ns`.

        Raises ProtocolError, and what the pages raise.
        """
        async for page in newest_first:
            recent = [message for message in page if _sent_ns(message) >= oldest_ns]
            found = list(filter(matches, recent))[self.count - limit :]
            self._sizes.append(self._file.write(b"".join(map(encode, found))))
            self.count += len(found)
            if self.count == limit or len(recent) < len(page):
                break


async def pages(
    source: HistorySource, before: int | None = None, size: int = PAGE
) -> AsyncIterator[list[Delivery]]:
    """Yield pages of up to `size` messages, the newest page first."""
    more = True
    while more:
        page = await source.history(before, size)
        more = page.more and bool(page.messages)
        if page.messages:
            before = page.messages[0].id or 0
            yield page.messages


def accept_all() -> MessageFilter:
    """Return a filter that matches all messages."""
    return lambda _: True


def between(one: str, other: str) -> MessageFilter:
    """Return a filter that matches the messages between two persons."""
    pair = {fold(one), fold(other)}

    def matches(message: Delivery) -> bool:
        if not isinstance(message, Incoming):
            return False
        return {fold(message.author), fold(message.to or "")} == pair

    return matches


def format_message(message: Delivery, own_name: str) -> str:
    """Format a message like ``tail``, with the local time instead of the author's seconds."""
    at = datetime.fromtimestamp(_sent_ns(message) / 1e9)
    to = ""
    if isinstance(message, Incoming) and message.to:
        to = (
            " (to you)"
            if fold(message.to) == fold(own_name)
            else f" (to {escape_control(message.to)})"
        )
    author, content = escape_control(message.author), escape_control(message.content)
    return f"{at:%Y-%m-%d %H:%M:%S} {author}{to} < {content}"


def _sent_ns(message: Delivery) -> int:
    try:
        return parse_time(message.sent or "")
    except ValueError as error:
        raise ProtocolError(f"in history: {error}") from None
