"""Clients that are killed again and again, with the real daemon: every promise still holds."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from chatctl.client import Client, Incoming, IncomingBroadcast
from chatctl.client.reconnect import Backoff
from tests.support.daemon_process import Daemon
from tests.support.scripted_server import TIMEOUT

TOTAL = 300


class ProcessKilledError(BaseException):
    """The program ends where it is, and tells nobody."""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    running = Daemon(tmp_path / "chatd")
    yield running
    running.stop()


class ClientFactory:
    """Makes clients that all keep their state in one folder, and draws when they are killed."""

    def __init__(self, daemon: Daemon, state: Path) -> None:
        self._address = daemon.address
        self._state = state
        self._random = random.Random(11)
        self.kills = 0

    def client(self) -> Client:
        backoff = Backoff(base=0.001, cap=0.01)
        return Client(*self._address, state=self._state, backoff=backoff, answer_timeout=TIMEOUT)

    def maybe_kill(self, chance: float) -> None:
        if self._random.random() < chance:
            self.kills += 1
            raise ProcessKilledError


async def send_all(clients: ClientFactory) -> set[int]:
    """Send numbered messages until each is acknowledged; return how many calls said so."""
    acknowledged: set[int] = set()

    async def send(client: Client, number: int) -> None:
        ref = f"number {number}"
        if number % 3:
            await client.broadcast(str(number), ref=ref)
        else:
            await client.send("bob", str(number), ref=ref)
        acknowledged.add(number)

    async def run_client() -> None:
        calls: list[asyncio.Task[None]] = []
        try:
            async with clients.client() as client:
                await client.hello("ann", resume=False)
                for number in range(TOTAL):
                    if number not in acknowledged:
                        calls.append(asyncio.create_task(send(client, number)))
                        if number % 10 == 9:
                            await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
                            clients.maybe_kill(0.2)
                await asyncio.gather(*calls)
        finally:
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)

    while len(acknowledged) < TOTAL:
        with suppress(ProcessKilledError):
            await run_client()
    return acknowledged


async def read_all(
    clients: ClientFactory, name: str, expected: int, ready: asyncio.Event
) -> list[int]:
    """Be done with `expected` messages in as many runs as it takes; return them in that order."""
    done: list[int] = []

    async def run_client() -> None:
        async with clients.client() as client:
            await client.hello(name)
            ready.set()
            async for event in client:
                if isinstance(event, Incoming | IncomingBroadcast):
                    clients.maybe_kill(0.05)
                    done.append(int(event.content))
                    if len(done) == expected:
                        return

    while len(done) < expected:
        with suppress(ProcessKilledError):
            await run_client()
    return done


async def test_what_is_acknowledged_is_read_once_and_in_one_order_however_often_clients_are_killed(
    daemon: Daemon, tmp_path: Path
) -> None:
    clients = ClientFactory(daemon, tmp_path / "state")
    broadcasts = [number for number in range(TOTAL) if number % 3]
    are_ready = [asyncio.Event(), asyncio.Event()]
    async with asyncio.timeout(TIMEOUT), asyncio.TaskGroup() as group:
        bob = group.create_task(read_all(clients, "bob", TOTAL, are_ready[0]))
        carol = group.create_task(read_all(clients, "carol", len(broadcasts), are_ready[1]))
        for ready in are_ready:
            await ready.wait()
        assert await send_all(clients) == set(range(TOTAL))

    assert clients.kills > 20
    assert sorted(bob.result()) == list(range(TOTAL))
    assert carol.result() == [number for number in bob.result() if number % 3]
