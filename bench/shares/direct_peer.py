"""`python -m bench.shares.direct_peer`: every owner sends its file to all others by itself.

The plainest way there is, and the best one where all uplinks are equal: a socket to each of the
others, all served at once, and the kernel shares the uplink among them.
"""

import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.shares import stage

_CHUNK = 64 * 1024


def main() -> None:
    """Play one peer; arguments are its number, its address, its file and its inbox."""
    number, address, file, inbox = sys.argv[1:]
    listener = socket.create_server((address, 0), backlog=64)
    stage.say(stage.Listening(listener.getsockname()[1]))
    addresses = stage.await_addresses()
    others = [peer for index, peer in enumerate(addresses) if index != int(number)]
    outgoing = [socket.create_connection((host, port)) for host, port in others]
    incoming = [listener.accept()[0] for _ in others]
    stage.say(stage.Connected())
    with ThreadPoolExecutor(2 * len(others)) as threads:
        copies = [
            threads.submit(_receive, connection, Path(inbox) / f"from-{index}.bin")
            for index, connection in enumerate(incoming)
        ]
        stage.await_go()
        for connection in outgoing:
            threads.submit(_send, connection, Path(file))
        for copy in copies:
            copy.result()
        stage.say(stage.Complete())
    stage.await_end()


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
