"""Feeds of a client, over a real socket to a scripted server; how they are counted and shown."""

import asyncio
import io
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import UTC
from typing import Any, Final

import pytest
from rich.console import Console

from chatctl.blocks import Blocks
from chatctl.client import Array, Client, Reconnected, Reconnecting, RefusedError, User
from chatctl.feed import Item
from chatctl.feedview import Lines, Panels, Records
from common.messages.feed import Block, Person
from tests.chatctl.scripted import PATIENCE, Peer, Server, next_event, scripted

SENT: Final = "2026-11-21T07:11:00.123456Z"
SENT_NS: Final = 1_795_245_060_123_456_000
EVE: Final = Person("Eve", "e\x1b[2J", "e@x.example", "1 Way\nAB 2", "E & Co", "1990-12-31", "5")

Feed = AsyncGenerator[User | Array, None]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with scripted() as running:
        yield running


def send(peer: Peer, *numbers: int) -> None:
    """Send an array for each number."""
    for number in numbers:
        peer.say("array", n=number, sent=SENT, values=[number])


async def grant(peer: Peer, *numbers: int) -> dict[str, Any]:
    """Expect an order, grant it, send an array for each number; return the order."""
    order = await peer.expect("subscribe")
    peer.say("subscribed", ref=order["ref"])
    send(peer, *numbers)
    return order


async def take(feed: Feed, count: int) -> list[int]:
    """Return the numbers of the next `count` messages."""
    async with asyncio.timeout(PATIENCE):
        return [(await anext(feed)).n for _ in range(count)]


async def start(server: Server, client: Client, *numbers: int) -> tuple[Peer, Feed]:
    """Subscribe, have a message sent for each number, and take the first."""
    feed = client.subscribe("array", interval=0.1)
    first = asyncio.create_task(take(feed, 1))
    peer = await server.accept()
    await grant(peer, *numbers)
    assert await first == [numbers[0]]
    return peer, feed


async def test_what_is_ordered_comes_and_leaving_the_loop_ends_it(server: Server) -> None:
    async def listen(client: Client) -> list[int]:
        numbers: list[int] = []
        async for item in client.subscribe("array", interval=0.25, size=3, low=-1, high=9):
            numbers.append(item.n)
            if len(numbers) == 3:
                break
        return numbers

    async with server.client() as client:
        listening = asyncio.create_task(listen(client))
        peer = await server.accept()
        order = await grant(peer, 1, 2, 3, 4)
        assert await listening == [1, 2, 3]
        assert await peer.hear() == {"code": "unsubscribe"}
        del order["ref"]
        assert order == {
            "code": "subscribe",
            "topics": ["array"],
            "interval_ms": 250,
            "size": 3,
            "low": -1,
            "high": 9,
        }


async def test_a_refused_order_is_raised(server: Server) -> None:
    async with server.client() as client:
        first = asyncio.create_task(take(client.subscribe(), 1))
        peer = await server.accept()
        ref = (await peer.expect("subscribe"))["ref"]
        peer.say("error", reason="unsupported", detail="pip install 'chatd[feed]'", ref=ref)
        with pytest.raises(RefusedError, match="pip install") as refusal:
            await first
        assert refusal.value.reason == "unsupported"


@pytest.mark.parametrize("interval", [0.0001, 0.00099])
async def test_an_interval_below_a_millisecond_is_no_interval(
    server: Server, interval: float
) -> None:
    async with server.client() as client:
        with pytest.raises(ValueError, match=r"0 or 0\.001"):
            client.subscribe(interval=interval)


async def test_after_a_lost_connection_it_subscribes_again_and_says_so(server: Server) -> None:
    async with server.client() as client:
        peer, feed = await start(server, client, 1, 2)
        peer.hang_up()
        peer = await server.accept()
        order = await grant(peer, 1, 2)
        assert order["interval_ms"] == 100
        assert await take(feed, 3) == [2, 1, 2]
        assert isinstance(await next_event(client), Reconnecting)
        assert isinstance(await next_event(client), Reconnected)
        await feed.aclose()


async def test_with_a_name_the_hello_comes_before_the_order(server: Server) -> None:
    async with server.client() as client:
        greeting = asyncio.create_task(client.hello("ann"))
        peer = await server.accept()
        await peer.welcome()
        await greeting
        feed = client.subscribe("array")
        first = asyncio.create_task(take(feed, 1))
        await grant(peer, 1)
        await first
        peer.hang_up()
        peer = await server.accept()
        await peer.welcome()
        await grant(peer, 1)
        assert await take(feed, 1) == [1]
        await feed.aclose()


async def test_an_order_that_waits_for_its_answer_is_sent_again_once(server: Server) -> None:
    async with server.client() as client:
        feed = client.subscribe("array")
        first = asyncio.create_task(take(feed, 1))
        peer = await server.accept()
        await peer.expect("subscribe")
        peer.hang_up()
        peer = await server.accept()
        await grant(peer, 1)
        assert await first == [1]
        await feed.aclose()
        assert await peer.hear() == {"code": "unsubscribe"}


async def test_a_server_that_comes_back_without_a_feed_ends_it_with_its_refusal(
    server: Server,
) -> None:
    async with server.client() as client:
        peer, feed = await start(server, client, 1)
        peer.hang_up()
        peer = await server.accept()
        ref = (await peer.expect("subscribe"))["ref"]
        peer.say("error", reason="unsupported", detail="no more", ref=ref)
        with pytest.raises(RefusedError, match="no more"):
            await take(feed, 1)


async def test_a_feed_that_was_left_is_not_asked_for_again(server: Server) -> None:
    async with server.client() as client:
        peer, feed = await start(server, client, 1)
        peer.hang_up()
        await feed.aclose()
        peer = await server.accept()
        call = asyncio.create_task(client.ping())
        assert (await peer.hear())["code"] == "ping"
        call.cancel()


async def test_a_newer_feed_ends_the_one_before_and_takes_nothing_of_it(server: Server) -> None:
    async with server.client() as client:
        peer, old = await start(server, client, 1)
        new = client.subscribe("array")
        first = asyncio.create_task(take(new, 2))
        order = await peer.expect("subscribe")
        send(peer, 2, 3)
        peer.say("subscribed", ref=order["ref"])
        send(peer, 1, 2)
        assert await first == [1, 2]
        assert [item async for item in old] == []
        await new.aclose()
        assert await peer.hear() == {"code": "unsubscribe"}


async def test_quitting_ends_the_feed(server: Server) -> None:
    async with server.client() as client:
        _, feed = await start(server, client, 1)
        await client.quit()
        assert [item async for item in feed] == []


async def test_events_that_nobody_takes_do_not_hold_up_a_feed(server: Server) -> None:
    async with server.client(inbox_limit=2) as client:
        peer, feed = await start(server, client, 1)
        for number in range(100):
            peer.say("joined", name=f"bob {number}")
        send(peer, *range(2, 50))
        assert await take(feed, 48) == list(range(2, 50))
        await feed.aclose()


async def test_a_feed_is_read_no_faster_than_it_is_taken(server: Server) -> None:
    wanted = 20_000
    async with server.client() as client:
        _, feed = await start(server, client, *range(1, wanted + 1))
        for _ in range(100):
            await asyncio.sleep(0)  # the chance to read all of it
        assert await take(feed, wanted - 1) == list(range(2, wanted + 1))
        await feed.aclose()


async def test_a_block_is_told_at_once_or_when_there_is_a_connection_again(server: Server) -> None:
    async with server.client() as client:
        peer, feed = await start(server, client, 1)
        client.report_block(5, 4.98)
        assert await peer.hear() == {
            "code": "block",
            "count": 5,
            "seconds": 4.98,
            "interrupted": False,
        }
        peer.hang_up()
        assert isinstance(await next_event(client), Reconnecting)
        client.report_block(7, 60.0, interrupted=True)
        peer = await server.accept()
        block = await peer.expect("block")
        assert (block["count"], block["interrupted"]) == (7, True)
        await grant(peer, 1)
        await feed.aclose()


class TestBlocks:
    @pytest.mark.parametrize("size", [1, 5, 7])
    def test_they_adjoin_and_each_has_its_size(self, size: int) -> None:
        blocks = Blocks(size, start=100.0)
        done = [blocks.take(n, 100.0 + n * 0.5) for n in range(1, 36)]
        whole = [block for block in done if block is not None]
        assert whole == [Block(size, size * 0.5)] * (35 // size)
        assert (blocks.total, blocks.whole) == (35, 35 // size)

    def test_the_one_that_spans_a_lost_connection_is_marked_and_only_that(self) -> None:
        blocks = Blocks(2, start=0.0)
        taken = [(1, 1.0), (2, 2.0), (3, 3.0), (1, 63.0), (2, 64.0), (3, 65.0)]
        done = [block for n, at in taken if (block := blocks.take(n, at))]
        assert done == [Block(2, 2.0), Block(2, 61.0, interrupted=True), Block(2, 2.0)]

    def test_a_loss_between_two_blocks_marks_the_second_whose_time_it_takes(self) -> None:
        blocks = Blocks(2, start=0.0)
        done = [blocks.take(n, at) for n, at in [(1, 1.0), (2, 2.0), (1, 62.0), (2, 63.0)]]
        assert done[1::2] == [Block(2, 2.0), Block(2, 61.0, interrupted=True)]

    def test_a_loss_before_the_first_message_marks_the_first_block(self) -> None:
        blocks = Blocks(1, start=0.0)
        blocks.lost()
        assert blocks.take(1, 60.0) == Block(1, 60.0, interrupted=True)
        assert blocks.take(2, 61.0) == Block(1, 1.0)

    def test_later_news_of_a_loss_may_come_before_messages_from_before_it(self) -> None:
        blocks = Blocks(2, start=0.0)
        blocks.take(1, 1.0)
        blocks.lost()
        assert blocks.take(2, 2.0) == Block(2, 2.0)

    def test_messages_that_are_missing_mark_a_block(self) -> None:
        blocks = Blocks(2, start=0.0)
        blocks.take(1, 1.0)
        assert blocks.take(9, 2.0) == Block(2, 2.0, interrupted=True)


ITEMS: Final[list[Item]] = [User(1, SENT, EVE), Array(2, SENT, [7, -10, 300])]


class TestViews:
    def test_off_a_terminal_everything_is_one_line(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for item in ITEMS:
            Lines().item(item, SENT_NS)
        Lines().block(3, Block(1, 4.98), SENT_NS)
        Lines().block(4, Block(7, 61.0, interrupted=True), SENT_NS)
        user, array, short, marked = capsys.readouterr().out.splitlines()
        assert user == (
            f"{SENT} user 1: Eve (e\\x1b[2J), born 1990-12-31, E & Co, 1 Way, AB 2, 5, e@x.example"
        )
        assert array == f"{SENT} array 2: 7 -10 300"
        assert short == f"{SENT} block 3: 1 message in 4.980 s"
        assert marked == f"{SENT} block 4: 7 messages in 61.000 s, interrupted"

    def test_records_hold_what_was_sent_and_when_it_was_received(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for item in ITEMS:
            Records().item(item, SENT_NS)
        Records().block(1, Block(2, 0.5), SENT_NS)
        user, array, block = map(json.loads, capsys.readouterr().out.splitlines())
        assert list(user) == ["received", "code", "n", "sent", "user"]
        assert user["user"]["address"] == "1 Way\nAB 2"
        assert array == {"received": SENT, **array, "code": "array", "values": [7, -10, 300]}
        assert block == {
            "received": SENT,
            "code": "block",
            "count": 2,
            "seconds": 0.5,
            "interrupted": False,
        }

    @pytest.mark.parametrize("width", [40, 80, 200])
    def test_on_a_terminal_nothing_is_wider_than_it_or_moves_the_cursor(self, width: int) -> None:
        console = Console(file=io.StringIO(), width=width)
        panels = Panels(console, UTC)
        for item in ITEMS:
            panels.item(item, SENT_NS)
        panels.block(1, Block(2, 0.5), SENT_NS)
        assert isinstance(console.file, io.StringIO)
        shown = console.file.getvalue()
        lines = shown.splitlines()
        assert max(map(len, lines)) <= width
        assert "\x1b" not in shown
        assert lines[0].startswith("07:11:00.123  user 1")
        assert "born 1990-12-31" in " ".join(shown.split())
        assert "  7 -10 300" in shown
        assert "block 1: 2 messages in 0.500 s ─" in shown


async def test_a_feed_may_be_closed_before_it_began(server: Server) -> None:
    async with server.client() as client, aclosing(client.subscribe()):
        await server.accept()
