"""Reserved loopback ports: no other process gets the port of a test's server."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reserve_port() -> Iterator[int]:
    """Yield a port that refuses connections until a server of the test listens on it.

    A socket that is bound and never listens keeps the kernel from choosing the port for a client or
    for a server that asks for any port. A server that asks for this port with SO_REUSEADDR, as
    servers do, can listen, end, and listen again.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
