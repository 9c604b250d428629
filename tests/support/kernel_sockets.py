"""The kernel's table of TCP sockets, ``/proc/net/tcp`` (proc(5)).

The kernel writes the table piece by piece: a row can be missing, or be there twice, when sockets
come and go meanwhile.
"""

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from tests.support.processes import wait_until

_LISTEN: Final = "0A"
_TIMERS: Final = {"00": "none", "01": "retransmission", "02": "keep-alive"}


class KernelSocket(NamedTuple):
    """A row of the table; numbers are as the kernel prints them, but for the ports."""

    local_port: int
    remote_port: int
    state: str
    unsent: str
    timer: str
    inode: str


def listening_ports(pid: int) -> set[int]:
    """Return the ports on which a process listens."""
    own = set(_links(pid))
    return {
        row.local_port
        for row in _table()
        if row.state == _LISTEN and f"socket:[{row.inode}]" in own
    }


def timer(port: int, client: socket.socket) -> str:
    """Return which timer runs on the server's end of the connection of `client`."""
    return _TIMERS[_server_end(port, client).timer]


def unsent_bytes(port: int, client: socket.socket) -> int:
    """Return how many bytes the server on `port` has queued in the kernel for `client`."""
    return int(_server_end(port, client).unsent, 16)


def _server_end(port: int, client: socket.socket) -> KernelSocket:
    ends = (port, client.getsockname()[1])
    found: list[KernelSocket] = []

    def is_found() -> bool:
        found[:] = (row for row in _table() if (row.local_port, row.remote_port) == ends)
        return bool(found)

    wait_until(is_found, lambda: f"there is no connection between {ends}")
    return found[-1]


def _table() -> Iterator[KernelSocket]:
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, queues, timer, _, _, _, inode = line.split()[:10]
        unsent = queues.partition(":")[0]
        yield KernelSocket(_port(local), _port(remote), state, unsent, timer[:2], inode)


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)


def _links(pid: int) -> Iterator[str]:
    """Yield the targets of the descriptors of a process."""
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            yield str(path.readlink())
