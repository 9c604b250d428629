"""The history, read backwards and printed forwards, without a server."""

import sys
import time
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest

from chatctl.cli import history
from chatctl.cli.history import Delivery, MessageFilter, ReverseSpool, accept_all, between, pages
from chatctl.errors import ProtocolError
from common.messages.chat import HistoryPage, Incoming, IncomingBroadcast
from common.protocol.timestamps import format_time

SECOND = 1_000_000_000


def broadcast(number: int, author: str = "bob") -> IncomingBroadcast:
    return IncomingBroadcast(author, f"m{number}", number, format_time(number * SECOND))


def direct(number: int, author: str, to: str) -> Incoming:
    return Incoming(author, f"m{number}", number, format_time(number * SECOND), to=to)


class FakeServer:
    """Has a history of `messages`, and gives at most `page` of them at once."""

    def __init__(self, messages: Sequence[Delivery], page: int = 1000) -> None:
        self._messages = messages
        self._page = page
        self.requests: list[tuple[int | None, int]] = []

    async def history(self, before: int | None = None, limit: int = 1000) -> HistoryPage:
        self.requests.append((before, limit))
        older = [
            message
            for message in self._messages
            if before is None or (isinstance(message.id, int) and message.id < before)
        ]
        found = older[-min(limit, self._page) :]
        return HistoryPage(list(found), more=len(found) < len(older))


async def collect(
    newest_first: AsyncIterator[list[Delivery]],
    matches: MessageFilter | None = None,
    oldest_ns: int = 0,
    limit: int = sys.maxsize,
) -> list[str]:
    """Return the content of what is collected, oldest first."""
    with ReverseSpool() as spool:
        await spool.fill(newest_first, matches or accept_all(), oldest_ns, limit)
        decode = msgspec.json.Decoder(Delivery).decode_lines
        contents = [message.content for page in spool for message in decode(page)]
        assert spool.count == len(contents)
    return contents


async def test_pages_come_newest_first_and_are_printed_oldest_first() -> None:
    server = FakeServer([broadcast(number) for number in range(1, 8)], page=3)

    contents = await collect(pages(server))

    assert contents == [f"m{number}" for number in range(1, 8)]
    assert server.requests == [(None, 1000), (5, 1000), (2, 1000)]


async def test_an_empty_log_is_an_empty_history() -> None:
    assert await collect(pages(FakeServer([]))) == []


async def test_it_begins_before_an_id() -> None:
    server = FakeServer([broadcast(number) for number in range(1, 8)])

    assert await collect(pages(server, before=3)) == ["m1", "m2"]


@pytest.mark.parametrize("limit", [1, 3, 4, 7, 100])
async def test_no_more_is_collected_than_asked_for_and_it_is_the_newest(limit: int) -> None:
    server = FakeServer([broadcast(number) for number in range(1, 8)], page=3)

    contents = await collect(pages(server), limit=limit)

    assert contents == [f"m{number}" for number in range(1, 8)][-limit:]


async def test_nothing_is_asked_for_that_is_older_than_wanted() -> None:
    server = FakeServer([broadcast(number) for number in range(1, 100)], page=3)

    contents = await collect(pages(server), oldest_ns=96 * SECOND)

    assert contents == ["m96", "m97", "m98", "m99"]
    assert len(server.requests) == 2


async def test_a_conversation_is_what_two_sent_each_other() -> None:
    server = FakeServer(
        [
            broadcast(1, "bob"),
            direct(2, "ann", "bob"),
            direct(3, "carol", "ann"),
            direct(4, "Bob", "ann"),
            direct(5, "ann", "carol"),
        ]
    )

    assert await collect(pages(server), between("ann", "BOB")) == ["m2", "m4"]


async def test_many_pages_keep_their_order_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_IN_MEMORY", 100)
    server = FakeServer([broadcast(number) for number in range(1, 200)], page=7)

    assert await collect(pages(server)) == [f"m{number}" for number in range(1, 200)]


async def test_a_message_without_a_time_is_a_broken_server() -> None:
    server = FakeServer([IncomingBroadcast("bob", "hi", 1)])

    with pytest.raises(ProtocolError, match="in history: '' is not a UTC time"):
        await collect(pages(server))


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (broadcast(0), "bob < m0"),
        (direct(0, "bob", "ann"), "bob (to you) < m0"),
        (direct(0, "ann", "b\x1bb"), "ann (to b\\x1bb) < m0"),
        (IncomingBroadcast("bob", "a\nb", 1, format_time(0)), "bob < a\\nb"),
    ],
)
def test_a_line_shows_when_who_to_whom_and_what(
    message: Delivery, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC-2")
    time.tzset()

    assert history.format_message(message, "ann") == f"1970-01-01 02:00:00 {line}"

    monkeypatch.undo()
    time.tzset()
