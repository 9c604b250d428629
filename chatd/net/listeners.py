"""Listening sockets: several share one port, so that connections are accepted in parallel."""

import asyncio
import errno
import os
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from common.values import Address

_BACKLOG: Final = 4096
_ACCEPTS_PER_ITERATION: Final = 16

Release = Callable[[], None]
"""Frees what `asyncio.start_server` made for a connection; to be called once that is lost."""

MakeProtocol = Callable[[Release], asyncio.Protocol]
"""Returns the protocol of a connection that was accepted."""


class ListenError(Exception):
    """Listening on the address is impossible; the text says why and what to do."""


async def listen(make_protocol: MakeProtocol, host: str, port: int) -> list[asyncio.Server]:
    """Listen on `port`; where it is 0, the first socket of the first server has the port chosen.

    Raises ListenError.
    """
    accept = partial(_accept, make_protocol)
    try:
        first = await asyncio.start_server(accept, host, port, backlog=_BACKLOG)
        siblings = [
            await asyncio.start_server(accept, sock=sibling, backlog=_BACKLOG)
            for listen_socket in first.sockets
            for sibling in _reuseport_sockets(listen_socket)
        ]
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            reason = "the port is already in use; stop the other program or choose another --port"
        else:
            reason = f"{_reason(error)}; choose another --host or --port"
        raise ListenError(f"cannot listen on {Address(host, port)}: {reason}") from None
    listeners = [first, *siblings]
    for listener in listeners:
        for listen_socket in listener.sockets:
            _enable_keepalive(listen_socket)
    return listeners


def _accept(make_protocol: MakeProtocol, _reader: StreamReader, writer: StreamWriter) -> None:
    """Let a protocol of `make_protocol` take the place of the streams on their transport.

    To wake a task for each chunk, as streams do, took a fifth of the time of a ping. A writer that
    is garbage-collected closes its transport, so the streams stay until they are released.
    """
    transport = writer.transport
    protocol = make_protocol(partial(_release, transport.get_protocol(), writer))
    transport.set_protocol(protocol)
    protocol.connection_made(transport)


def _release(streams: asyncio.BaseProtocol, _writer: StreamWriter) -> None:
    """Tell the streams that their connection is lost; from Python 3.13 on they hold no writer."""
    streams.connection_lost(None)


def _reason(error: OSError) -> str:
    """Return the error of the system, without the words that asyncio puts before it."""
    if isinstance(error, socket.gaierror) or error.errno is None:
        return error.strerror or str(error)
    return os.strerror(error.errno).lower()


def _reuseport_sockets(listen_socket: socket.socket) -> Iterator[socket.socket]:
    """Yield more sockets for the address of `listen_socket`, each with an accept queue of its own.

    libuv accepts one connection per socket and loop iteration. With one socket, clients that
    connect while the loop is busy wait an iteration for each other. With SO_REUSEPORT the kernel
    spreads connections over the queues and wakes only the socket that has one. Copies of one
    descriptor all woke for each connection, which took 20 % of the CPU of a single connect.

    `listen_socket` allows sharing only after it was bound: otherwise another chatd of the same user
    on this address would go unnoticed.
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
        except OSError:  # not every kernel shares an address that was bound alone; one is enough
            sibling.close()
            return
        yield sibling


def _enable_keepalive(listen_socket: socket.socket) -> None:
    """Let the kernel detect within about two minutes that the host of a client is gone.

    Connections inherit the option from the listening socket. Setting it on each of them took
    15 % of the time in which 5,000 clients are welcomed.
    """
    listen_socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, option):
            listen_socket.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
