"""A proxy between a client and a daemon that drops messages by their code."""

import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Self

from tests.support.daemon_process import Daemon
from tests.support.processes import TIMEOUT


class FilteringProxy:
    """Forwards lines, except those whose code is in `dropped_codes`."""

    def __init__(self, daemon: Daemon) -> None:
        self.dropped_codes: set[str] = set()
        self._daemon: Final = daemon
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self._listener.getsockname()
        self._dropped = threading.Semaphore(0)
        self._sockets: list[socket.socket] = [self._listener]
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for sock in self._sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(TIMEOUT)
        for sock in self._sockets:
            sock.close()

    def wait(self) -> None:
        """Wait until one more line has been dropped."""
        assert self._dropped.acquire(timeout=TIMEOUT)

    def _start(self, work: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._daemon.address, TIMEOUT)
                self._sockets += [client, server]
                self._start(self._pump, client, server)
                self._start(self._pump, server, client)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError), source.makefile("rb") as lines:
            for line in lines:
                if json.loads(line)["code"] in self.dropped_codes:
                    self._dropped.release()
                else:
                    sink.sendall(line)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
