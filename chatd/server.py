"""Puts the services together, listens, and stops without losing what it promised."""

import asyncio
import logging
import os
import resource
import secrets
import signal
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Final

from chatd.app import Storage, make_storage
from chatd.config import Config
from chatd.core.accounts import Accounts
from chatd.core.fanout import Fanout
from chatd.core.metrics import Metrics
from chatd.core.presence import Presence
from chatd.core.router import LoggingRouter, Router
from chatd.core.session import MAX_INFLIGHT, Session
from chatd.core.timer_wheel import TimerWheel
from chatd.feed_source import Generator
from chatd.messagelog.base import MessageLog
from chatd.net.connection import Connection, ConnectionLimits, Environment
from chatd.net.listeners import listen
from chatd.net.multiplex import Accepted, Multiplexer, ProtocolEntry, any_bytes
from chatd.net.open_connections import OpenConnections
from chatd.net.write_batcher import WriteBatcher
from chatd.services import groups, request
from chatd.services.basic import Basic
from chatd.services.chat import Chat
from chatd.services.feed.service import Feeds
from chatd.services.groups import GroupDirectory
from chatd.services.hello import Registration
from chatd.services.request import Requests
from chatd.services.timestamp import service
from chatd.services.timestamp.service import Exchanges
from common import __version__
from common.messages.chat import Welcome
from common.system.clock import Clock, SystemClock
from common.system.stdio import OutputError, write
from common.system.time_file import TimeFileThread
from common.system.timerfd import LoopTimer
from common.values import Address

logger: Final = logging.getLogger(__name__)

DRAIN_TIMEOUT: Final = 3.0
"""Seconds (s) that clients have to take what is left for them when the server stops."""

PRESENCE_INTERVAL: Final = 600.0
"""Seconds (s) after which the log records again who is here."""

MakeStorage = Callable[[Config, Clock], Storage]
"""Returns the storage that the settings ask for, not yet open."""

_SPARE_DESCRIPTORS: Final = 64
_MAX_DESCRIPTORS: Final = 2**20


class Server:
    """One listening port and all that happens behind it; `make_storage` chooses the log."""

    def __init__(self, config: Config, make_storage: MakeStorage = make_storage) -> None:
        loop = asyncio.get_running_loop()
        self._config = config
        self._clock = SystemClock()
        self._metrics = Metrics()
        self._write_batcher = WriteBatcher(loop.call_soon, self._metrics)
        storage = make_storage(config, self._clock)
        self._log: MessageLog[Session] = storage.log
        self._timer = LoopTimer()
        self._time_file = TimeFileThread(config.time_file or config.data / "serverTimeData.txt")
        self._generator = Generator(config.feed_locale, config.feed_seed)
        self._wheel = TimerWheel(self._clock.monotonic, self._timer.set, self._write_batcher.flush)
        presence = Presence()
        self._fanout = Fanout(presence)
        accounts = Accounts(storage.names, self._clock, config.reserve)
        announced = Welcome(
            server=f"chatd {__version__}", max_line=config.max_line, max_inflight=MAX_INFLIGHT
        )
        self._registration = Registration(self._log, presence, self._fanout, accounts, announced)
        make_router = LoggingRouter if config.print_messages else Router
        router = make_router(
            [
                Basic(self._clock),
                self._registration,
                Chat(self._log, presence, accounts, self._clock),
                Requests(
                    self._wheel,
                    Random(config.delay_seed),  # noqa: S311 - nobody gains by guessing a delay
                    request.RequestLimits(config.delay, config.max_pending, config.outbox_limit),
                ),
                Exchanges(
                    self._wheel,
                    self._clock,
                    self._time_file,
                    service.ExchangeLimits(
                        config.min_interval, config.max_duration, config.max_exchanges
                    ),
                    self._write_batcher.flush,
                ),
                Feeds(self._generator, self._wheel, self._clock),
                GroupDirectory(
                    groups.GroupLimits(config.max_groups, config.max_peers), secrets.token_urlsafe
                ),
            ]
        )
        limits = ConnectionLimits(config.max_line, config.outbox_limit, config.idle_timeout)
        self._environment = Environment(
            router, self._write_batcher, self._wheel, self._clock, limits, self._metrics
        )
        self._connections = OpenConnections(
            config.max_connections or _raise_descriptor_limit(), self._metrics
        )
        self._multiplexer = Multiplexer(
            [ProtocolEntry("JSON lines", any_bytes, self._make_connection)],
            self._connections,
            self._clock,
            idle_timeout=config.idle_timeout,
        )
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain; a second signal ends the process at once.

        Raises ListenError and UnusableLogError.
        """
        await self._log.open(self._fanout.deliver)
        self._fanout.last = self._log.last
        try:
            await self._serve()
        finally:
            await self._log.close()

    async def _serve(self) -> None:
        listeners = await listen(
            self._multiplexer.make_protocol, self._config.host, self._config.port
        )
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

    def _make_connection(self, accepted: Accepted) -> Connection:
        return Connection(accepted, self._environment, self._connections.closed)

    def _record_presence(self) -> None:
        self._registration.record_presence()
        asyncio.get_running_loop().call_later(PRESENCE_INTERVAL, self._record_presence)

    def _stop(self, number: int) -> None:
        if self._stopping.is_set():
            os._exit(128 + signal.SIGINT)
        logger.info("%s: stopping", signal.Signals(number).name)
        self._connections.refuse_new()
        self._stopping.set()

    async def _drain(self) -> None:
        """Commit and deliver what was taken, say goodbye, and give everyone time to read it."""
        await self._log.flush()
        await self._connections.close_all(within=DRAIN_TIMEOUT)
        self._generator.close()
        self._timer.close()
        await self._time_file.close()
        await self._connections.abort_all(within=1.0)
        logger.info("stopped: %s", self._metrics.summary())


def _raise_descriptor_limit() -> int:
    """Raise the limit of descriptors as far as allowed and return how many clients that serves."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(1, wanted - _SPARE_DESCRIPTORS)
