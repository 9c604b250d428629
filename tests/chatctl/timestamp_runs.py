"""Runs of ``chatctl timestamp`` under way and a server's part in them, on a real socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

from chatctl.backoff import Backoff
from chatctl.clock import SteadyClock
from chatctl.events import Reconnected, Reconnecting
from chatctl.redial import Reconnector
from chatctl.run import Run
from chatctl.stamplink import StampLink
from common.addresses import Address
from common.exchange import Exchange
from tests.chatctl.scripted import PATIENCE, Peer, Server

NOW = "2026-11-21T07:11:00.000000Z"

MS = 1_000_000


class Rows:
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


class HandClock(SteadyClock):
    """Stands still until the test moves it on: as many stamps are sent as the test says."""

    def __init__(self) -> None:
        super().__init__()
        self._now_ns = super().monotonic_ns()

    def monotonic_ns(self) -> int:
        return self._now_ns

    def advance(self, ns: int) -> None:
        self._now_ns += ns


class Runner:
    """A run of 2 ms stamps under way; `result` is what `go` returned."""

    def __init__(
        self,
        server: Server,
        expected: int,
        *,
        answer: float,
        keepalive: float,
        patience: float,
        clock: SteadyClock,
    ) -> None:
        self.record = Exchange(2 * MS, expected)
        self.rows = Rows()
        self.told: list[Reconnecting | Reconnected] = []
        self.is_told = asyncio.Event()
        address = Address("127.0.0.1", server.port)
        self.run = Run(
            "1",
            self.record,
            rows=self.rows,
            clock=clock,
            reconnector=Reconnector(
                lambda: StampLink.open(address, PATIENCE, keepalive),
                Backoff(base=0.0),
                patience,
                self.tell,
            ),
            answer_timeout=answer,
            tell=self.tell,
        )
        self.task = asyncio.create_task(self.run.go())

    def tell(self, event: Reconnecting | Reconnected) -> None:
        self.told.append(event)
        self.is_told.set()

    async def begins_block(self, count: int) -> None:
        """Wait until the block with this number has begun, and with it the grid of deadlines."""
        async with asyncio.timeout(PATIENCE):
            while len(self.rows.blocks) < count:  # noqa: ASYNC110 - a server's answer makes it so
                await asyncio.sleep(0)

    async def result(self) -> str:
        async with asyncio.timeout(PATIENCE):
            return await self.task


@asynccontextmanager
async def running(
    server: Server,
    expected: int = 3,
    *,
    answer: float = PATIENCE,
    keepalive: float = PATIENCE,
    patience: float = PATIENCE,
    clock: SteadyClock | None = None,
) -> AsyncIterator[Runner]:
    runner = Runner(
        server,
        expected,
        answer=answer,
        keepalive=keepalive,
        patience=patience,
        clock=clock or SteadyClock(),
    )
    try:
        yield runner
    finally:
        server.close()  # so that no farewell is waited for
        runner.task.cancel()
        await asyncio.wait([runner.task])


async def grant(server: Server) -> tuple[Peer, dict[str, object]]:
    """Accept a connection and grant what it asks for."""
    peer = await server.accept()
    wish = await peer.expect("exchange")
    peer.say(**wish)
    return peer, wish


def stamp(peer: Peer, *numbers: int) -> None:
    for n in numbers:
        peer.say("stamp", n=n, sent=NOW)


async def take_stamps(peer: Peer, *numbers: int) -> None:
    assert [(await peer.expect("stamp"))["n"] for _ in numbers] == list(numbers)


async def end(peer: Peer, **counts: int) -> dict[str, object]:
    """Expect the end and answer it."""
    farewell = await peer.expect("exchange_end")
    peer.say("exchange_end", **counts)
    return farewell


async def end_of_stamps(peer: Peer, **counts: int) -> dict[str, object]:
    """Pass over stamps up to the end, and answer that."""
    for _ in count():
        message = await peer.hear()
        if message.get("code") != "stamp":
            break
    assert message["code"] == "exchange_end", message
    peer.say("exchange_end", **counts)
    return message
