"""Dialling and being dialled: who is accepted, who is rejected and why."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import pytest

from chatctl.errors import UsageError
from chatctl.share.connection import PeerConnection
from chatctl.share.frames import Frame
from chatctl.share.handshake import PeerInfo, derive_key, group_key
from chatctl.share.listener import MAX_HANDSHAKING, DialError, Listener, listen
from chatctl.share.swarm import REGISTRY
from common.messages.peer_wire import KeepAlive
from common.values import Address
from tests.support.ports import reserve_port
from tests.support.share_storage import TIMEOUT

SECRET: Final = group_key("the secret", b"")


class ListeningPeer:
    """A listener, and who was accepted by it."""

    def __init__(
        self, identity: str, secret: bytes = SECRET, group: str = "run", timeout: float = TIMEOUT
    ) -> None:
        server_socket = listen("127.0.0.1", 0)
        self.address = Address(*server_socket.getsockname())
        self.accepted: asyncio.Queue[tuple[PeerConnection, PeerInfo, bool]] = asyncio.Queue()
        self.rejected: asyncio.Queue[str] = asyncio.Queue()
        self.frames: asyncio.Queue[Frame] = asyncio.Queue()
        self.connections: list[PeerConnection] = []
        self.listener = Listener(
            server_socket,
            REGISTRY,
            own=PeerInfo(identity, identity * 32, self.address.port, "digest"),
            group=group,
            secret=secret,
            timeout=timeout,
            on_accepted=self._on_accepted,
            on_rejected=lambda _address, why: self.rejected.put_nowait(why),
        )

    async def accepted_peer(self) -> PeerInfo:
        """Return who was accepted."""
        async with asyncio.timeout(TIMEOUT):
            _, info, _ = await self.accepted.get()
        return info

    async def close(self) -> None:
        await self.listener.close()
        for connection in self.connections:
            connection.close()

    def _on_accepted(self, connection: PeerConnection, info: PeerInfo, dialled: bool) -> None:
        self.connections.append(connection)
        connection.on_frame = self.frames.put_nowait
        self.accepted.put_nowait((connection, info, dialled))


@pytest.fixture
async def start_peer() -> AsyncIterator[Callable[..., ListeningPeer]]:
    """Start listeners that are closed in the end."""
    made: list[ListeningPeer] = []

    def make(*arguments: Any, **options: Any) -> ListeningPeer:
        made.append(ListeningPeer(*arguments, **options))
        return made[-1]

    yield make
    for listening_peer in made:
        await listening_peer.close()


async def test_two_peers_of_a_group_connect_and_know_which_dialled(
    start_peer: Callable[..., ListeningPeer],
) -> None:
    ann, bob = start_peer("a"), start_peer("b")
    await ann.listener.dial(bob.address)
    _, info, dialled = await ann.accepted.get()
    assert (info.id, info.port, dialled) == ("b", bob.address.port, True)
    connection, info, dialled = await bob.accepted.get()
    assert (info.id, info.port, dialled) == ("a", ann.address.port, False)
    connection.send(KeepAlive())
    assert await ann.frames.get() == Frame(KeepAlive(), None)


async def test_a_message_right_after_the_handshake_is_not_lost(
    start_peer: Callable[..., ListeningPeer],
) -> None:
    ann, bob = start_peer("a"), start_peer("b")
    await ann.listener.dial(bob.address)
    ann.connections[0].send(KeepAlive())
    async with asyncio.timeout(TIMEOUT):
        assert await bob.frames.get() == Frame(KeepAlive(), None)


@pytest.mark.parametrize(
    ("who", "told", "noted"),
    [
        (
            ("a", group_key("another", b""), "run"),
            "its --key",
            "it refused: your --key or group secret",
        ),
        (("a", group_key("the secret", derive_key("key", "run")), "run"), "--key", "--key"),
        (("a", SECRET, "another"), "it refused: this peer is in", "it is in another group"),
        (("b", SECRET, "run"), "you dialled yourself", "it is this peer itself"),
    ],
)
async def test_an_outsider_is_rejected_and_both_sides_know_why(
    start_peer: Callable[..., ListeningPeer],
    who: tuple[str, bytes, str],
    told: str,
    noted: str,
) -> None:
    outsider, bob = start_peer(*who), start_peer("b")
    with pytest.raises(DialError, match=told):
        await outsider.listener.dial(bob.address)
    async with asyncio.timeout(TIMEOUT):
        assert noted in await bob.rejected.get()
    assert bob.accepted.empty()
    assert outsider.accepted.empty()


async def test_a_silent_caller_is_disconnected(
    start_peer: Callable[..., ListeningPeer],
) -> None:
    bob = start_peer("b", timeout=0.05)
    with socket.create_connection(bob.address, TIMEOUT) as silent:
        assert await asyncio.to_thread(silent.recv, 1) == b""
    assert "did not complete the handshake" in await bob.rejected.get()


async def test_an_unauthenticated_peer_may_not_announce_raw_bytes(
    start_peer: Callable[..., ListeningPeer],
) -> None:
    bob = start_peer("b")
    with socket.create_connection(bob.address, TIMEOUT) as rude:
        rude.sendall(b'{"code":"description","owner":"1","size":1000000}\n')
        assert await asyncio.to_thread(rude.recv, 1) == b""
    assert "announced 1000000 bytes" in await bob.rejected.get()


async def test_the_number_of_concurrent_handshakes_is_limited(
    start_peer: Callable[..., ListeningPeer],
) -> None:
    bob = start_peer("b")
    waiting = [socket.create_connection(bob.address, TIMEOUT) for _ in range(MAX_HANDSHAKING)]
    with socket.create_connection(bob.address, TIMEOUT) as one_more:
        assert await asyncio.to_thread(one_more.recv, 1) == b""
    waiting.pop().close()
    await bob.rejected.get()
    ann = start_peer("a")
    await ann.listener.dial(bob.address)
    for each in waiting:
        each.close()


async def test_dialling_a_closed_port_fails(
    start_peer: Callable[..., ListeningPeer],
) -> None:
    with reserve_port() as port, pytest.raises(DialError, match="connection refused"):
        await start_peer("a").listener.dial(Address("127.0.0.1", port))


async def test_dialling_fails_without_an_answer(
    start_peer: Callable[..., ListeningPeer],
) -> None:
    silence = pytest.raises(DialError, match="handshake within")
    with socket.create_server(("127.0.0.1", 0)) as server, silence:
        await start_peer("a", timeout=0.5).listener.dial(Address(*server.getsockname()))


async def test_an_unknown_host_name_is_reported(
    start_peer: Callable[..., ListeningPeer],
) -> None:
    with pytest.raises(DialError, match="name"):
        await start_peer("a").listener.dial(Address("no.such.host.invalid", 1))


async def test_all_addresses_of_the_machine_are_listened_on() -> None:
    with listen("", 0) as server_socket:
        port = server_socket.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), TIMEOUT).close()


def test_a_port_in_use_is_an_error() -> None:
    with listen("127.0.0.1", 0) as server_socket, pytest.raises(UsageError, match="--port"):
        listen("127.0.0.1", server_socket.getsockname()[1])
