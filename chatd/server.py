"""The server: listens, serves until a signal stops it, and drains what it promised to deliver."""

import asyncio
import logging
import os
import resource
import signal
from contextlib import suppress
from typing import Final

import uvloop

from chatd.app import App, MakeStorage, Resources, make_storage, open_resources
from chatd.config import Config
from chatd.core.metrics import Metrics
from chatd.net.connection import Connection, Environment
from chatd.net.listeners import ListenError, listen
from chatd.net.multiplex import Accepted, Multiplexer, ProtocolEntry, any_bytes
from chatd.net.open_connections import OpenConnections
from chatd.net.write_batcher import WriteBatcher
from common.system.stdio import OutputError, write
from common.values import Address

__all__ = ["ListenError", "Server", "serve"]

logger: Final = logging.getLogger(__name__)

DRAIN_TIMEOUT: Final = 3.0
"""Seconds (s) that clients have to read what is left for them when the server stops."""

ABORT_TIMEOUT: Final = 1.0
"""Seconds (s) that connections may take to close after they are cut off."""

PRESENCE_INTERVAL: Final = 600.0
"""Seconds (s) between two notes in the name store of who is online."""

_SPARE_DESCRIPTORS: Final = 64
_MAX_DESCRIPTORS: Final = 2**20


class Server:
    """Listens on one port until a signal stops it; `make_storage` chooses the log."""

    def __init__(self, config: Config, make_storage: MakeStorage = make_storage) -> None:
        self._config = config
        self._make_storage = make_storage
        self._loop = asyncio.get_running_loop()
        self._metrics = Metrics()
        self._write_batcher = WriteBatcher(self._loop.call_soon, self._metrics)
        self._connections = OpenConnections(
            config.listen.max_connections or _raise_descriptor_limit(), self._metrics
        )
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain; a second signal ends the process at once.

        Raises ListenError and UnusableLogError.
        """
        async with open_resources(
            self._config,
            self._loop.call_soon,
            self._write_batcher.flush,
            self._metrics,
            self._make_storage,
        ) as resources:
            app = App(self._config, resources)
            await app.open()
            try:
                await self._serve(app, resources)
            finally:
                await app.close()
        logger.info("stopped: %s", self._metrics.summary())

    async def _serve(self, app: App, resources: Resources) -> None:
        multiplexer = self._multiplexer(app, resources)
        address = self._config.listen
        listeners = await listen(multiplexer.make_protocol, address.host, address.port)
        self._record_presence(app)
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop, number)
        host, port = listeners[0].sockets[0].getsockname()[:2]
        with suppress(BrokenPipeError, OutputError):  # nobody has to read it
            write(f"listening on {Address(host, port)}")
        await self._stopping.wait()
        for listener in listeners:
            listener.close()
        await app.flush()
        await self._connections.close_all(within=DRAIN_TIMEOUT)
        await self._connections.abort_all(within=ABORT_TIMEOUT)

    def _multiplexer(self, app: App, resources: Resources) -> Multiplexer:
        environment = Environment(
            router=app.router,
            write_batcher=self._write_batcher,
            wheel=resources.wheel,
            clock=resources.clock,
            limits=self._config.limits,
            metrics=self._metrics,
        )

        def make_connection(accepted: Accepted) -> Connection:
            return Connection(accepted, environment, self._connections.closed)

        return Multiplexer(
            [ProtocolEntry("JSON lines", any_bytes, make_connection)],
            self._connections,
            resources.clock,
            idle_timeout=self._config.limits.idle_timeout,
        )

    def _record_presence(self, app: App) -> None:
        app.registration.record_presence()
        self._loop.call_later(PRESENCE_INTERVAL, self._record_presence, app)

    def _stop(self, number: int) -> None:
        if self._stopping.is_set():
            os._exit(128 + signal.SIGINT)
        logger.info("%s: stopping", signal.Signals(number).name)
        self._connections.refuse_new()
        self._stopping.set()


def serve(config: Config) -> None:
    """Run a server until a signal stops it. Raises ListenError and UnusableLogError."""

    async def run() -> None:
        await Server(config).run()

    uvloop.run(run())


def _raise_descriptor_limit() -> int:
    """Raise the limit of descriptors as far as allowed; return how many clients that serves."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(1, wanted - _SPARE_DESCRIPTORS)
