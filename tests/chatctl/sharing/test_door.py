"""Dialling and being dialled: who comes in, who does not and hears why."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Final

import pytest

from chatctl.errors import UsageError
from chatctl.sharing.door import MAX_STRANGERS, Door, NotMetError, listen
from chatctl.sharing.handshake import Card, secret, stretch
from chatctl.sharing.link import Link
from chatctl.sharing.swap import CATALOGUE
from chatctl.sharing.wire import Frame
from common.addresses import Address
from common.messages.introduction import KeepAlive
from tests.chatctl.sharing.links import PATIENCE

SECRET: Final = secret("the ticket", b"")


class House:
    """A door, and who came in through it."""

    def __init__(
        self, identity: str, shared: bytes = SECRET, group: str = "run", within: float = PATIENCE
    ) -> None:
        listener = listen("127.0.0.1", 0)
        self.address = Address(*listener.getsockname())
        self.inside: asyncio.Queue[tuple[Link, Card, bool]] = asyncio.Queue()
        self.refused: asyncio.Queue[str] = asyncio.Queue()
        self.heard: asyncio.Queue[Frame] = asyncio.Queue()
        self.links: list[Link] = []
        self.door = Door(
            listener,
            CATALOGUE,
            own=Card(identity, identity * 32, self.address.port, "digest"),
            group=group,
            shared=shared,
            within=within,
            admit=self._admit,
            refuse=lambda _address, why: self.refused.put_nowait(why),
        )

    async def admitted(self) -> Card:
        """Return who came in."""
        async with asyncio.timeout(PATIENCE):
            _, card, _ = await self.inside.get()
        return card

    async def close(self) -> None:
        await self.door.close()
        for link in self.links:
            link.close()

    def _admit(self, link: Link, card: Card, dialled: bool) -> None:
        self.links.append(link)
        link.hear = self.heard.put_nowait
        self.inside.put_nowait((link, card, dialled))


@pytest.fixture
async def build() -> AsyncIterator[Callable[..., House]]:
    """Build houses that are closed in the end."""
    built: list[House] = []

    def build_one(*arguments: str | bytes, **options: float) -> House:
        built.append(House(*arguments, **options))  # type: ignore[arg-type]
        return built[-1]

    yield build_one
    for house in built:
        await house.close()


async def test_two_of_a_group_meet_and_know_who_dialled(build: Callable[..., House]) -> None:
    ann, bob = build("a"), build("b")
    await ann.door.dial(bob.address)
    _, card, dialled = await ann.inside.get()
    assert (card.id, card.port, dialled) == ("b", bob.address.port, True)
    link, card, dialled = await bob.inside.get()
    assert (card.id, card.port, dialled) == ("a", ann.address.port, False)
    link.send(KeepAlive())
    assert await ann.heard.get() == Frame(KeepAlive(), None)


async def test_what_is_said_right_behind_the_introduction_is_not_lost(
    build: Callable[..., House],
) -> None:
    ann, bob = build("a"), build("b")
    await ann.door.dial(bob.address)
    ann.links[0].send(KeepAlive())
    async with asyncio.timeout(PATIENCE):
        assert await bob.heard.get() == Frame(KeepAlive(), None)


@pytest.mark.parametrize(
    ("who", "told", "noted"),
    [
        (("a", secret("another", b""), "run"), "see --key", "it refused: the ticket or the key"),
        (("a", secret("the ticket", stretch("key", "run")), "run"), "see --key", "see --key"),
        (("a", SECRET, "another"), "it refused: this is another group", "it is in another group"),
        (("b", SECRET, "run"), "this is yourself", "it is this peer itself"),
    ],
)
async def test_who_is_not_of_the_group_is_not_met_and_both_know_why(
    build: Callable[..., House], who: tuple[str, bytes, str], told: str, noted: str
) -> None:
    stranger, bob = build(*who), build("b")
    with pytest.raises(NotMetError, match=told):
        await stranger.door.dial(bob.address)
    async with asyncio.timeout(PATIENCE):
        assert noted in await bob.refused.get()
    assert bob.inside.empty()
    assert stranger.inside.empty()


async def test_who_says_nothing_is_let_go(build: Callable[..., House]) -> None:
    bob = build("b", within=0.05)
    with socket.create_connection(bob.address, PATIENCE) as silent:
        assert await asyncio.to_thread(silent.recv, 1) == b""
    assert "did not introduce itself" in await bob.refused.get()


async def test_a_stranger_may_not_announce_bytes(build: Callable[..., House]) -> None:
    bob = build("b")
    with socket.create_connection(bob.address, PATIENCE) as rude:
        rude.sendall(b'{"code":"description","owner":"1","size":1000000}\n')
        assert await asyncio.to_thread(rude.recv, 1) == b""
    assert "announced 1000000 bytes" in await bob.refused.get()


async def test_no_more_strangers_are_kept_waiting_than_allowed(build: Callable[..., House]) -> None:
    bob = build("b")
    waiting = [socket.create_connection(bob.address, PATIENCE) for _ in range(MAX_STRANGERS)]
    with socket.create_connection(bob.address, PATIENCE) as one_more:
        assert await asyncio.to_thread(one_more.recv, 1) == b""
    waiting.pop().close()
    await bob.refused.get()
    ann = build("a")
    await ann.door.dial(bob.address)
    for each in waiting:
        each.close()


async def test_where_nobody_listens_nobody_is_met(build: Callable[..., House]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = Address(*server.getsockname())
    with pytest.raises(NotMetError, match="connection refused"):
        await build("a").door.dial(address)


async def test_where_nobody_answers_nobody_is_met(build: Callable[..., House]) -> None:
    silence = pytest.raises(NotMetError, match="introduce itself within")
    with socket.create_server(("127.0.0.1", 0)) as server, silence:
        await build("a", within=0.05).door.dial(Address(*server.getsockname()))


async def test_a_name_that_is_none_is_told(build: Callable[..., House]) -> None:
    with pytest.raises(NotMetError, match="name"):
        await build("a").door.dial(Address("no.such.host.invalid", 1))


async def test_all_addresses_of_the_machine_are_listened_on() -> None:
    with listen("", 0) as listener:
        port = listener.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), PATIENCE).close()


def test_a_port_that_is_taken_is_refused() -> None:
    with listen("127.0.0.1", 0) as listener, pytest.raises(UsageError, match="--port"):
        listen("127.0.0.1", listener.getsockname()[1])
