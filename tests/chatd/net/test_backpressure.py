"""Those who do not read what they are sent, or only slowly: nobody else notices."""

import asyncio
import json

import pytest

from chatd.core.send_queue import HIGH_WATER_BYTES
from chatd.core.session import MAX_INFLIGHT
from chatd.messagelog.memory import MemoryLog
from chatd.net.connection import LINGER
from tests.support.memory_server import MemoryServer
from tests.support.service_harness import Json, ServiceHarness

PING = b'{"code":"ping"}\n'


async def test_a_client_that_does_not_read_is_cut_off_and_nobody_else_is_slowed() -> None:
    async with MemoryServer(send_queue_limit=1_000_000) as server:
        ann, bob = await server.client("ann"), await server.client("bob")
        slow = server.connect(window=1_000)
        await slow.hello("slow", version=1)
        for number in range(40):
            await ann.send({"code": "outgoing_broadcast", "content": "x" * 50_000})
            assert len(await bob.received()) == 1, number
        assert slow.session.close_reason == "slow consumer"
        assert server.harness.presence.by_key("slow") is None
        assert '"reason":"slow_consumer"' in (await slow.take(10**9))[-1]


async def test_the_cut_off_names_bytes_limit_and_last_id() -> None:
    async with MemoryServer(send_queue_limit=1_000_000) as server:
        ann, slow = await server.client("ann"), server.connect(window=1_000)
        await slow.hello("slow", version=1)
        while not slow.session.is_closing:
            await ann.send({"code": "outgoing_broadcast", "content": "x" * 60_000})
        *_, newest, error = [json.loads(line) for line in await slow.take(10**9)]
        assert "the limit is 1000000" in error["detail"]
        assert f"resume after id {newest['id']}," in error["detail"]
        queued = int(error["detail"].split(" bytes were queued")[0].split()[-1])
        assert 1_000_000 < queued < 1_100_000


async def test_a_client_that_takes_not_even_the_error_is_aborted() -> None:
    async with MemoryServer(send_queue_limit=100_000) as server:
        ann, slow = await server.client("ann"), server.connect(window=1_000)
        await slow.hello("slow")
        while not slow.session.is_closing:
            await ann.send({"code": "outgoing_broadcast", "content": "x" * 50_000})
        await asyncio.sleep(LINGER - 0.1)
        assert await slow.close_state() == "served"
        await asyncio.sleep(0.2)
        assert await slow.close_state() == "aborted"
        assert slow.served.done()


async def test_a_watcher_that_does_not_read_is_cut_off_by_presence_too() -> None:
    async with MemoryServer(send_queue_limit=10_000) as server:
        slow = server.connect(window=400)
        await slow.hello("slow", version=1, presence=True)
        for number in range(400):
            (await server.harness.register(f"passer-by {number}")).lose_connection()
            await slow.lines()
        assert slow.session.close_reason == "slow consumer"


@pytest.mark.parametrize(
    ("request_line", "count"),
    [(PING, 60_000), (b'{"code":"echo","content":"' + b"x" * 60_000 + b'"}\n', 200)],
    ids=["many short answers", "few long answers"],
)
async def test_a_client_whose_answers_cannot_be_written_is_not_read_from(
    request_line: bytes, count: int
) -> None:
    async with MemoryServer(send_queue_limit=1_000_000) as server:
        client = server.connect(window=1_000)
        await client.send_bytes(request_line * count)
        assert not client.transport.is_reading_enabled
        assert client.queued_bytes < HIGH_WATER_BYTES + 600_000
        assert len(await client.take_all(50_000)) == count
        assert client.session.close_reason == ""


@pytest.mark.parametrize("question", [{"code": "history"}, {"code": "who", "ref": "1"}])
async def test_long_answers_are_given_as_fast_as_they_are_taken(question: Json) -> None:
    async with MemoryServer(send_queue_limit=1_000_000) as server:
        for number in range(1_000):
            await server.harness.register(f"{number} {'x' * 50}")
        client = server.connect(window=1_000)
        await client.hello("ann", version=1)
        for _ in range(4):
            await client.send({"code": "outgoing_broadcast", "content": "x" * 60_000})
        await client.send(*[question] * 50)
        assert len(await client.take_all(100_000)) == 50
        assert client.session.close_reason == ""


async def test_a_replay_is_sent_as_fast_as_it_is_taken() -> None:
    async with MemoryServer(send_queue_limit=500_000) as server:
        ann, slow = await server.client("ann"), server.connect(window=1_000)
        for _ in range(50):
            await ann.send({"code": "outgoing_broadcast", "content": "x" * 60_000})
        await slow.send({"code": "hello", "name": "slow", "version": 1, "after": 0})
        received = [json.loads(line) for line in await slow.take_all(100_000)]
        assert [message["id"] for message in received[1:-1]] == list(range(1, 51))
        assert received[-1]["code"] == "resumed"


async def test_a_client_with_too_many_answers_due_is_not_read_from() -> None:
    harness = ServiceHarness(
        lambda keep, scheduler: MemoryLog(keep, scheduler, batch=2 * MAX_INFLIGHT)
    )
    async with MemoryServer(harness=harness) as server:
        ann = await server.client("ann", version=1)
        said = [
            {"code": "outgoing_broadcast", "content": "x", "ref": f"{number}"}
            for number in range(2 * MAX_INFLIGHT)
        ]
        await ann.send(*said)
        assert ann.session.inflight.count == MAX_INFLIGHT
        while ann.session.inflight.count:
            harness.scheduler.run()
            assert ann.session.inflight.count <= MAX_INFLIGHT
            await ann.send_bytes(b"")
        assert [ack["id"] for ack in await ann.received()] == list(range(1, 2 * MAX_INFLIGHT + 1))
