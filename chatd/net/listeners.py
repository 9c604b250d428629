"""The port: on how many sockets it is listened, and what every connection gets from them."""

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Iterator
from typing import Final

from common.values import Address

_BACKLOG: Final = 4096
_ACCEPTS_PER_ITERATION: Final = 16

MakeProtocol = Callable[[], asyncio.Protocol]
"""Returns the protocol of a connection that is about to be accepted."""


class ListenError(Exception):
    """The address cannot be listened on; the text says why and what to do."""


async def listen(make_protocol: MakeProtocol, host: str, port: int) -> list[asyncio.Server]:
    """Listen; the first socket of the first server tells the port where `port` is 0.

    Raises ListenError.
    """
    loop = asyncio.get_running_loop()
    try:
        first = await loop.create_server(make_protocol, host, port, backlog=_BACKLOG)
        siblings = [
            await loop.create_server(make_protocol, sock=sibling, backlog=_BACKLOG)
            for listen_socket in first.sockets
            for sibling in _reuseport_sockets(listen_socket)
        ]
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            reason = "the port is in use; stop who uses it or choose another with --port"
        else:
            reason = f"{_reason(error)}; choose another with --host and --port"
        raise ListenError(f"cannot listen on {Address(host, port)}: {reason}") from None
    listeners = [first, *siblings]
    for listener in listeners:
        for listen_socket in listener.sockets:
            _enable_keepalive(listen_socket)
    return listeners


def _reason(error: OSError) -> str:
    """Return what the system says, without the words that asyncio puts before it."""
    if isinstance(error, socket.gaierror) or error.errno is None:
        return error.strerror or str(error)
    return os.strerror(error.errno).lower()


def _reuseport_sockets(listen_socket: socket.socket) -> Iterator[socket.socket]:
    """Yield more sockets for the address of `listen_socket`, each with a queue of its own.

    libuv accepts one connection per socket and loop iteration, so that clients that came while
    the loop was busy would wait an iteration for each other. The kernel deals those who come out
    to the queues and wakes only the one that somebody stands in: copies of one descriptor all woke
    for each, and to accept nobody 15 times was 20 % of the CPU for a client who came alone.

    `listen_socket` shares its address from now on, and not from the start: a chatd of the same user
    that has the address already would go unnoticed.
    """
    listen_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    for _ in range(_ACCEPTS_PER_ITERATION - 1):
        sibling = socket.socket(listen_socket.family, listen_socket.type)
        sibling.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sibling.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if sibling.family == socket.AF_INET6:
            sibling.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # as asyncio does
        try:
            sibling.bind(listen_socket.getsockname())
        except OSError:  # not every kernel shares an address that was bound alone; one has to do
            sibling.close()
            return
        yield sibling


def _enable_keepalive(listen_socket: socket.socket) -> None:
    """Have the kernel find out, in about two minutes, that the host of a client is gone.

    Connections inherit it from the socket that listens. To ask for it on each of them, and for the
    address that few need to know, took 15 % of the time in which 5,000 clients are welcomed.
    """
    listen_socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, option):
            listen_socket.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
