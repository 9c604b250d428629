"""Ports of loopback that nobody else gets, so that a test never meets somebody else's server."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reserve_port() -> Iterator[int]:
    """Yield a port that refuses connections, until a server of the test listens on it.

    A socket that is bound and never listens keeps the kernel from lending the port to anyone who
    connects or asks for any port; one who asks for this port, with SO_REUSEADDR as servers do, may
    listen, may end and may listen again.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
