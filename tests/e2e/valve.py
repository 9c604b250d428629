"""Stands between a client and a daemon, and keeps some of what they say from each other."""

import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from tests.e2e.daemon import Daemon
from tests.e2e.wire import PATIENCE


class Valve:
    """Passes lines on, but for those whose code is in `withheld`."""

    def __init__(self, daemon: Daemon) -> None:
        self.withheld: set[str] = set()
        self._daemon: Final = daemon
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self._listener.getsockname()
        self._kept = threading.Semaphore(0)
        self._open: list[socket.socket] = [self._listener]
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
        for end in self._open:
            end.close()

    def wait(self) -> None:
        """Wait until one more line has been withheld."""
        assert self._kept.acquire(timeout=PATIENCE)

    def _start(self, work: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._daemon.address, PATIENCE)
                self._open += [client, server]
                self._start(self._pump, client, server)
                self._start(self._pump, server, client)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError), source.makefile("rb") as lines:
            for line in lines:
                if json.loads(line)["code"] in self.withheld:
                    self._kept.release()
                else:
                    sink.sendall(line)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
