"""Clients that die again and again, with the real daemon: all they are promised still holds."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from chatctl.backoff import Backoff
from chatctl.client import Client, Incoming, IncomingBroadcast
from tests.chatctl.scripted import PATIENCE
from tests.e2e.daemon import Daemon

TOTAL = 300


class Died(BaseException):
    """The program ends where it is, without a word to anyone."""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    running = Daemon(tmp_path / "chatd")
    yield running
    running.stop()


class House:
    """Makes clients that all keep their state in one folder, and draws when they die."""

    def __init__(self, daemon: Daemon, state: Path) -> None:
        self._address = daemon.address
        self._state = state
        self._draw = random.Random(11)
        self.deaths = 0

    def client(self) -> Client:
        backoff = Backoff(base=0.001, cap=0.01)
        return Client(*self._address, state=self._state, backoff=backoff, answer_timeout=PATIENCE)

    def may_die(self, chance: float) -> None:
        if self._draw.random() < chance:
            self.deaths += 1
            raise Died


async def send_all(house: House) -> set[int]:
    """Send numbered messages until each is acknowledged; return how many calls said so."""
    acknowledged: set[int] = set()

    async def send(client: Client, number: int) -> None:
        ref = f"number {number}"
        if number % 3:
            await client.broadcast(str(number), ref=ref)
        else:
            await client.send("bob", str(number), ref=ref)
        acknowledged.add(number)

    async def live() -> None:
        calls: list[asyncio.Task[None]] = []
        try:
            async with house.client() as client:
                await client.hello("ann", resume=False)
                for number in range(TOTAL):
                    if number not in acknowledged:
                        calls.append(asyncio.create_task(send(client, number)))
                        if number % 10 == 9:
                            await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
                            house.may_die(0.2)
                await asyncio.gather(*calls)
        finally:
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)

    while len(acknowledged) < TOTAL:
        with suppress(Died):
            await live()
    return acknowledged


async def read_all(house: House, name: str, expected: int, ready: asyncio.Event) -> list[int]:
    """Be done with `expected` messages in as many lives as it takes; return them in that order."""
    done: list[int] = []

    async def live() -> None:
        async with house.client() as client:
            await client.hello(name)
            ready.set()
            async for event in client:
                if isinstance(event, Incoming | IncomingBroadcast):
                    house.may_die(0.05)
                    done.append(int(event.content))
                    if len(done) == expected:
                        return

    while len(done) < expected:
        with suppress(Died):
            await live()
    return done


async def test_what_is_acknowledged_is_read_once_and_in_one_order_however_often_clients_die(
    daemon: Daemon, tmp_path: Path
) -> None:
    house = House(daemon, tmp_path / "state")
    broadcasts = [number for number in range(TOTAL) if number % 3]
    are_ready = [asyncio.Event(), asyncio.Event()]
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        bob = group.create_task(read_all(house, "bob", TOTAL, are_ready[0]))
        carol = group.create_task(read_all(house, "carol", len(broadcasts), are_ready[1]))
        for ready in are_ready:
            await ready.wait()
        assert await send_all(house) == set(range(TOTAL))

    assert house.deaths > 20
    assert sorted(bob.result()) == list(range(TOTAL))
    assert carol.result() == [number for number in bob.result() if number % 3]
