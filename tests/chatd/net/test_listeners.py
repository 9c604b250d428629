"""The port that is listened on, with as many sockets as the kernel lets share it."""

import asyncio
import errno
import socket
from asyncio import Server
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import pytest

from chatd.net.listeners import ListenError, Release, listen


class ExclusiveSocket(socket.socket):
    """A socket of a kernel on which no two sockets share an address."""

    def bind(self, address: Any) -> None:
        if self.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT):
            raise OSError(errno.EADDRINUSE, "in use")
        super().bind(address)


class Recorder(asyncio.Protocol):
    """Notes who connected, and closes the connection."""

    def __init__(self, accepted: list[str], release: Release) -> None:
        self._accepted = accepted
        self._release = release

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._accepted.append(transport.get_extra_info("peername"))
        transport.close()

    def connection_lost(self, _error: Exception | None) -> None:
        self._release()


async def listen_anywhere(stack: AsyncExitStack, accepted: list[str]) -> list[Server]:
    listeners = await listen(partial(Recorder, accepted), "127.0.0.1", 0)
    for listener in listeners:
        await stack.enter_async_context(listener)
    return listeners


def ports(listeners: list[Server]) -> set[int]:
    return {one.getsockname()[1] for listener in listeners for one in listener.sockets}


async def come(port: int, count: int) -> None:
    """Connect so often, and wait until each was seen off."""
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_all_sockets_share_one_port_and_each_client_is_accepted_once() -> None:
    accepted: list[str] = []
    async with AsyncExitStack() as stack:
        listeners = await listen_anywhere(stack, accepted)
        assert len(listeners) == 16
        (port,) = ports(listeners)
        await come(port, 50)
    assert len(set(accepted)) == len(accepted) == 50


async def test_where_no_address_is_shared_one_socket_does(monkeypatch: pytest.MonkeyPatch) -> None:
    accepted: list[str] = []
    monkeypatch.setattr(socket, "socket", ExclusiveSocket)
    async with AsyncExitStack() as stack:
        listeners = await listen_anywhere(stack, accepted)
        assert len(listeners) == 1
        (port,) = ports(listeners)
        await come(port, 2)
    assert len(accepted) == 2


async def test_a_port_that_is_taken_is_reported() -> None:
    async with AsyncExitStack() as stack:
        (port,) = ports(await listen_anywhere(stack, []))
        with pytest.raises(ListenError, match=f"{port}: the port is already in use; stop"):
            await listen(partial(Recorder, []), "127.0.0.1", port)
