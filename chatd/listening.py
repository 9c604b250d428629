"""The port: on how many sockets it is listened, and what every connection gets from them."""

import asyncio
import errno
import os
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Iterator
from typing import Final

from common.addresses import Address

_BACKLOG: Final = 4096
_ACCEPTS_PER_TURN: Final = 16
_READER_LIMIT: Final = 128 * 1024

Accept = Callable[[StreamReader, StreamWriter], None]


class ListenError(Exception):
    """The address cannot be listened on; the text says why and what to do."""


async def listen(accept: Accept, host: str, port: int) -> list[asyncio.Server]:
    """Listen; the first socket of the first server tells the port where `port` is 0.

    Raises ListenError.
    """
    try:
        first = await _start(accept, host, port)
        beside = [
            await _start(accept, sock=twin)
            for listening in first.sockets
            for twin in _twins(listening)
        ]
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            why = "the port is in use; stop who uses it or choose another with --port"
        else:
            why = f"{_reason(error)}; choose another with --host and --port"
        raise ListenError(f"cannot listen on {Address(host, port)}: {why}") from None
    listeners = [first, *beside]
    for listener in listeners:
        for listening in listener.sockets:
            _keep_alive(listening)
    return listeners


def _reason(error: OSError) -> str:
    """Return what the system says, without the words that asyncio puts before it."""
    if isinstance(error, socket.gaierror) or error.errno is None:
        return error.strerror or str(error)
    return os.strerror(error.errno).lower()


async def _start(
    accept: Accept,
    host: str | None = None,
    port: int | None = None,
    sock: socket.socket | None = None,
) -> asyncio.Server:
    return await asyncio.start_server(
        accept, host, port, sock=sock, limit=_READER_LIMIT, backlog=_BACKLOG
    )


def _twins(listening: socket.socket) -> Iterator[socket.socket]:
    """Yield more sockets for the address of `listening`, each with a queue of its own.

    libuv accepts one connection per socket and loop iteration, so that a crowd that came while
    the loop was busy would wait a turn for each of its members. The kernel deals those who come out
    to the queues and wakes only the one that somebody stands in: copies of one descriptor all woke
    for each, and to accept nobody 15 times was 20 % of the CPU for a client who came alone.

    `listening` shares its address from now on, and not from the start: a chatd of the same user
    that has the address already would go unnoticed.
    """
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    for _ in range(_ACCEPTS_PER_TURN - 1):
        twin = socket.socket(listening.family, listening.type)
        twin.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        twin.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if twin.family == socket.AF_INET6:
            twin.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # as asyncio does
        try:
            twin.bind(listening.getsockname())
        except OSError:  # not every kernel shares an address that was bound alone; one has to do
            twin.close()
            return
        yield twin


def _keep_alive(listening: socket.socket) -> None:
    """Have the kernel find out, in about two minutes, that the host of a client is gone.

    Connections inherit it from the socket that listens. To ask for it on each of them, and for the
    address that few need to know, took 15 % of the time in which 5,000 clients are welcomed.
    """
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, option):
            listening.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
