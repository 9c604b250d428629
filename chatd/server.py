"""Puts the services together, listens, and stops without losing what it promised."""

import asyncio
import logging
import os
import resource
import signal
from contextlib import suppress
from typing import Final

from chatd.app import App, MakeStorage, Resources, make_storage, open_resources
from chatd.config import Config
from chatd.net.connection import Connection, Environment
from chatd.net.listeners import listen
from chatd.net.multiplex import Accepted, Multiplexer, ProtocolEntry, any_bytes
from chatd.net.open_connections import OpenConnections
from chatd.net.write_batcher import WriteBatcher
from common.system.stdio import OutputError, write
from common.values import Address

logger: Final = logging.getLogger(__name__)

DRAIN_TIMEOUT: Final = 3.0
"""Seconds (s) that clients have to take what is left for them when the server stops."""

PRESENCE_INTERVAL: Final = 600.0
"""Seconds (s) after which the log records again who is here."""

_SPARE_DESCRIPTORS: Final = 64
_MAX_DESCRIPTORS: Final = 2**20


class Server:
    """Listens on one port until a signal stops it; `make_storage` chooses the log."""

    def __init__(self, config: Config, make_storage: MakeStorage = make_storage) -> None:
        self._config = config
        self._make_storage = make_storage
        self._max_connections = config.listen.max_connections or _raise_descriptor_limit()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain; a second signal ends the process at once.

        Raises ListenError and UnusableLogError.
        """
        call_soon = asyncio.get_running_loop().call_soon
        async with open_resources(self._config, call_soon, self._make_storage) as resources:
            shared, write_batcher = resources
            self._app = App(self._config, shared)
            self._connections = OpenConnections(self._max_connections, shared.metrics)
            await self._app.open()
            try:
                await self._serve(self._make_multiplexer(shared, write_batcher))
            finally:
                await self._app.close()
            logger.info("stopped: %s", shared.metrics.summary())

    def _make_multiplexer(self, shared: Resources, write_batcher: WriteBatcher) -> Multiplexer:
        """Return what serves every connection; a protocol more is a row more in its table."""
        limits, connections = self._config.limits, self._connections
        environment = Environment(
            self._app.router, write_batcher, shared.wheel, shared.clock, limits, shared.metrics
        )

        def make_connection(accepted: Accepted) -> Connection:
            return Connection(accepted, environment, connections.closed)

        return Multiplexer(
            [ProtocolEntry("JSON lines", any_bytes, make_connection)],
            connections,
            shared.clock,
            idle_timeout=limits.idle_timeout,
        )

    async def _serve(self, multiplexer: Multiplexer) -> None:
        listen_on = self._config.listen
        listeners = await listen(multiplexer.make_protocol, listen_on.host, listen_on.port)
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

    def _record_presence(self) -> None:
        self._app.registration.record_presence()
        asyncio.get_running_loop().call_later(PRESENCE_INTERVAL, self._record_presence)

    def _stop(self, number: int) -> None:
        if self._stopping.is_set():
            os._exit(128 + signal.SIGINT)
        logger.info("%s: stopping", signal.Signals(number).name)
        self._connections.refuse_new()
        self._stopping.set()

    async def _drain(self) -> None:
        """Commit and deliver what was taken, say goodbye, and give everyone time to read it."""
        await self._app.flush()
        await self._connections.close_all(within=DRAIN_TIMEOUT)
        await self._connections.abort_all(within=1.0)


def _raise_descriptor_limit() -> int:
    """Raise the limit of descriptors as far as allowed and return how many clients that serves."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(1, wanted - _SPARE_DESCRIPTORS)
