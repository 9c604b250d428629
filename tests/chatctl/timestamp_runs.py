"""Runs of ``chatctl timestamp`` under way and a server's part in them, on a real socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

from chatctl.backoff import Backoff
from chatctl.clock import SteadyClock
from chatctl.events import Reconnected, Reconnecting
from chatctl.redial import Reconnector
from chatctl.run import ExchangeRun
from chatctl.stamplink import StampProtocol
from common.addresses import Address
from common.exchange import ExchangeRecord
from tests.chatctl.scripted import TIMEOUT, ScriptedServer, ServerConnection

NOW = "2026-11-21T07:11:00.000000Z"

MS = 1_000_000


class FakeTimeFile:
    """The file: how many rows each block has, and how it ended (ns, broken off)."""

    def __init__(self) -> None:
        self.blocks: list[int] = []
        self.ends: list[tuple[int, bool]] = []

    def start_block(self) -> None:
        self.blocks.append(0)

    def add(self, _row: str) -> None:
        self.blocks[-1] += 1

    def end_block(self, duration_ns: int, *, broken_off: bool) -> None:
        self.ends.append((duration_ns, broken_off))


class ManualClock(SteadyClock):
    """Stands still until the test moves it on: as many stamps are sent as the test says."""

    def __init__(self) -> None:
        super().__init__()
        self._now_ns = super().monotonic_ns()

    def monotonic_ns(self) -> int:
        return self._now_ns

    def advance(self, ns: int) -> None:
        self._now_ns += ns


class Runner:
    """A run of 2 ms stamps under way; `result` is what `run` returned."""

    def __init__(
        self,
        server: ScriptedServer,
        expected: int,
        *,
        answer: float,
        keepalive: float,
        give_up_after: float,
        clock: SteadyClock,
    ) -> None:
        self.record = ExchangeRecord(2 * MS, expected)
        self.file = FakeTimeFile()
        self.notified: list[Reconnecting | Reconnected] = []
        self.was_notified = asyncio.Event()
        address = Address("127.0.0.1", server.port)
        self.run = ExchangeRun(
            "1",
            self.record,
            file=self.file,
            clock=clock,
            reconnector=Reconnector(
                lambda: StampProtocol.open(address, TIMEOUT, keepalive),
                Backoff(base=0.0),
                give_up_after,
                self.notify,
            ),
            answer_timeout=answer,
            notify=self.notify,
        )
        self.task = asyncio.create_task(self.run.run())

    def notify(self, event: Reconnecting | Reconnected) -> None:
        self.notified.append(event)
        self.was_notified.set()

    async def begins_block(self, count: int) -> None:
        """Wait until the block with this number, and its schedule of deadlines, has begun."""
        async with asyncio.timeout(TIMEOUT):
            while len(self.file.blocks) < count:  # noqa: ASYNC110 - a server's answer makes it so
                await asyncio.sleep(0)

    async def result(self) -> str:
        async with asyncio.timeout(TIMEOUT):
            return await self.task


@asynccontextmanager
async def running(
    server: ScriptedServer,
    expected: int = 3,
    *,
    answer: float = TIMEOUT,
    keepalive: float = TIMEOUT,
    give_up_after: float = TIMEOUT,
    clock: SteadyClock | None = None,
) -> AsyncIterator[Runner]:
    runner = Runner(
        server,
        expected,
        answer=answer,
        keepalive=keepalive,
        give_up_after=give_up_after,
        clock=clock or SteadyClock(),
    )
    try:
        yield runner
    finally:
        server.close()  # so that nobody waits for its counts
        runner.task.cancel()
        await asyncio.wait([runner.task])


async def grant(server: ScriptedServer) -> tuple[ServerConnection, dict[str, object]]:
    """Accept a connection and grant what it asks for."""
    connection = await server.accept()
    request = await connection.expect("exchange")
    connection.send(**request)
    return connection, request


def stamp(connection: ServerConnection, *numbers: int) -> None:
    for n in numbers:
        connection.send("stamp", n=n, sent=NOW)


async def take_stamps(connection: ServerConnection, *numbers: int) -> None:
    assert [(await connection.expect("stamp"))["n"] for _ in numbers] == list(numbers)


async def end(connection: ServerConnection, **counts: int) -> dict[str, object]:
    """Expect the end and answer it."""
    end = await connection.expect("exchange_end")
    connection.send("exchange_end", **counts)
    return end


async def end_of_stamps(connection: ServerConnection, **counts: int) -> dict[str, object]:
    """Pass over stamps up to the end, and answer that."""
    for _ in count():
        message = await connection.receive()
        if message.get("code") != "stamp":
            break
    assert message["code"] == "exchange_end", message
    connection.send("exchange_end", **counts)
    return message
