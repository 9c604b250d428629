"""Puts the services together, listens, and stops without losing what it promised."""

import asyncio
import logging
import os
import resource
import signal
from asyncio import StreamReader, StreamWriter
from contextlib import suppress
from typing import Final

from chatd.app import App, MakeStorage, make_storage, open_resources
from chatd.config import Config
from chatd.core.session import InFlight
from chatd.net.connection import Connection
from chatd.net.listeners import listen
from common.messages.base import Error
from common.system.stdio import OutputError, write
from common.values import Address

logger: Final = logging.getLogger(__name__)

DRAIN_TIMEOUT: Final = 3.0
"""Seconds (s) that clients have to take what is left for them when the server stops."""

PRESENCE_INTERVAL: Final = 600.0
"""Seconds (s) after which the log records again who is here."""

_SHUTTING_DOWN: Final = Error("shutting_down", "the server stops; come back in a moment")
_SPARE_DESCRIPTORS: Final = 64
_MAX_DESCRIPTORS: Final = 2**20


class Server:
    """Listens on one port until a signal stops it; `make_storage` chooses the log."""

    def __init__(self, config: Config, make_storage: MakeStorage = make_storage) -> None:
        self._config = config
        self._make_storage = make_storage
        self._max_connections = config.listen.max_connections or _raise_descriptor_limit()
        self._connections: set[Connection] = set()
        self._open_connections = InFlight()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain; a second signal ends the process at once.

        Raises ListenError and UnusableLogError.
        """
        call_soon = asyncio.get_running_loop().call_soon
        async with open_resources(self._config, call_soon, self._make_storage) as resources:
            self._resources, self._write_batcher = resources
            self._app = App(self._config, self._resources)
            await self._app.open()
            try:
                await self._serve()
            finally:
                await self._app.close()

    async def _serve(self) -> None:
        listeners = await listen(self._accept, self._config.listen.host, self._config.listen.port)
        self._record_presence()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        host, port = listeners[0].sockets[0].getsockname()[:2]
        with suppress(BrokenPipeError, OutputError):  # who started it may not be there to read it
            write(f"listening on {Address(host, port)}")
        await self._stopping.wait()
        for listener in listeners:
            listener.close()
        await self._drain()

    def _accept(self, _reader: StreamReader, writer: StreamWriter) -> None:
        connection = Connection(
            writer,
            router=self._app.router,
            write_batcher=self._write_batcher,
            wheel=self._resources.wheel,
            clock=self._resources.clock,
            limits=self._config.limits,
            on_closed=self._on_closed,
        )
        self._connections.add(connection)
        self._open_connections.add()
        if self._stopping.is_set():
            connection.session.close("server stops", _SHUTTING_DOWN)
        elif len(self._connections) > self._max_connections:
            detail = f"all {self._max_connections} connections are taken; try again later"
            connection.session.close("server full", Error("server_full", detail))
        else:
            connection.start()

    def _on_closed(self, connection: Connection) -> None:
        self._connections.remove(connection)
        self._open_connections.done()

    def _record_presence(self) -> None:
        self._app.registration.record_presence()
        asyncio.get_running_loop().call_later(PRESENCE_INTERVAL, self._record_presence)

    def _stop(self, number: int) -> None:
        if self._stopping.is_set():
            os._exit(128 + signal.SIGINT)
        logger.info("%s: stopping", signal.Signals(number).name)
        self._stopping.set()

    async def _drain(self) -> None:
        """Commit and deliver what was taken, say goodbye, and give everyone time to read it."""
        await self._app.flush()
        for connection in list(self._connections):
            connection.session.close("server stops", _SHUTTING_DOWN)
        await self._wait_closed(within=DRAIN_TIMEOUT)
        for connection in self._connections:
            connection.abort()
        await self._wait_closed(within=1.0)

    async def _wait_closed(self, within: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._open_connections.wait_below(1), within)


def _raise_descriptor_limit() -> int:
    """Raise the limit of descriptors as far as allowed and return how many clients that serves."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(1, wanted - _SPARE_DESCRIPTORS)
