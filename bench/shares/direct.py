"""Direct sending: every owner sends its file to all others at once, over plain sockets.

It is the simplest way, and the best one where all uplinks are equal: a socket to each other peer,
all served at once, and the kernel divides the uplink among them. `python -m bench.shares.direct`
runs one peer.
"""

import platform
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.shares import processes
from bench.shares.run import Start, Swarm, start_peers

_CHUNK = 64 * 1024


class Direct:
    """The candidate."""

    name = "direct"
    start_is = "all are connected to all, and get the go"

    def version(self) -> str:
        """Return the version of Python."""
        return f"sockets of Python {platform.python_version()}"

    def start(self, swarm: Swarm) -> Start:
        """Start all peers."""
        module = [sys.executable, "-m", "bench.shares.direct"]
        hosts = zip(swarm.network.peers, swarm.peer_files, strict=True)
        return start_peers(
            swarm,
            [
                [*module, str(number), host.address, str(own.file), str(own.inbox)]
                for number, (host, own) in enumerate(hosts)
            ],
        )


def main() -> None:
    """Run one peer; the arguments are its number, address, file and inbox."""
    number, address, file, inbox = sys.argv[1:]
    listener = socket.create_server((address, 0), backlog=64)
    processes.report(processes.Listening(listener.getsockname()[1]))
    addresses = processes.wait_for_addresses()
    others = [peer for index, peer in enumerate(addresses) if index != int(number)]
    outgoing = [socket.create_connection((host, port)) for host, port in others]
    incoming = [listener.accept()[0] for _ in others]
    processes.report(processes.Connected())
    with ThreadPoolExecutor(2 * len(others)) as threads:
        copies = [
            threads.submit(_receive, connection, Path(inbox) / f"from-{index}.bin")
            for index, connection in enumerate(incoming)
        ]
        processes.wait_for_go()
        for connection in outgoing:
            threads.submit(_send, connection, Path(file))
        for copy in copies:
            copy.result()
        processes.report(processes.Complete())
    processes.wait_for_end()


def _send(connection: socket.socket, path: Path) -> None:
    with path.open("rb") as file:
        connection.sendfile(file)
    connection.shutdown(socket.SHUT_WR)


def _receive(connection: socket.socket, path: Path) -> None:
    with path.open("wb") as file:
        while chunk := connection.recv(_CHUNK):
            file.write(chunk)


if __name__ == "__main__":
    main()
