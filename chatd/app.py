"""The composition root: the one module that knows every service and what each is built from."""

import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple, TypeAlias

from msgspec import Struct

from chatd.config import Config
from chatd.core.accounts import Accounts
from chatd.core.fanout import Fanout
from chatd.core.metrics import Metrics
from chatd.core.presence import Presence
from chatd.core.router import LoggingRouter, Router, Service
from chatd.core.session import MAX_INFLIGHT
from chatd.core.timer_wheel import TimerWheel
from chatd.feed_source import Generator
from chatd.messagelog.base import DAY_NS, MessageLog, NameStore, Retention
from chatd.messagelog.memory import MemoryLog
from chatd.messagelog.sqlite.log import SqliteLog
from chatd.services.basic import Basic
from chatd.services.chat import Chat
from chatd.services.feed.service import Feeds, FeedSource
from chatd.services.groups import GroupDirectory
from chatd.services.hello import Registration
from chatd.services.request import Requests
from chatd.services.timestamp.service import ExchangeRecorder, Exchanges
from common import __version__
from common.messages.chat import Welcome
from common.system.clock import Clock, SystemClock
from common.system.time_file import TimeFileThread
from common.system.timerfd import LoopTimer

logger: Final = logging.getLogger(__name__)

MEMORY_MESSAGES: Final = 100_000
"""Messages that a log in memory keeps where no number was given."""

TIME_FILE: Final = "serverTimeData.txt"
"""The name of the time file in the data directory, where no other file was given."""

BATCH_INTERVAL: Final = 0.02
"""Seconds (s) that rows of the time file wait for others: what a crash can cost."""

CallSoon: TypeAlias = Callable[[Callable[[], None]], object]
"""Runs a function after the current loop iteration."""


class Storage(NamedTuple):
    """What keeps messages and names. To open and to close the log does so for both."""

    log: MessageLog[Any]
    names: NameStore


MakeStorage: TypeAlias = Callable[[Config, Clock, CallSoon, Metrics], Storage]
"""Returns the storage that the settings ask for, not yet open."""


class Resources(Struct, frozen=True):
    """What the services use and do not own: time, storage, files.

    `flush` writes to the clients what is queued for them, at once.
    """

    storage: Storage
    clock: Clock
    wheel: TimerWheel
    flush: Callable[[], None]
    time_file: ExchangeRecorder
    feed_source: FeedSource
    make_secret: Callable[[], str]


class App:
    """Every service behind one router, and what the services share."""

    def __init__(self, config: Config, resources: Resources) -> None:
        clock, wheel, storage = resources.clock, resources.wheel, resources.storage
        self._log = storage.log
        self.presence = Presence()
        self.fanout = Fanout(self.presence)
        accounts = Accounts(storage.names, clock, config.accounts)
        welcome = Welcome(
            server=f"chatd {__version__}",
            max_line=config.limits.max_line,
            max_inflight=MAX_INFLIGHT,
        )
        self.registration = Registration(storage.log, self.presence, self.fanout, accounts, welcome)
        services: list[Service] = [
            Basic(clock),
            self.registration,
            Chat(storage.log, self.presence, accounts, clock),
            Requests(wheel, config.request, config.limits.send_queue_limit),
            Exchanges(wheel, clock, resources.time_file, config.timestamp, resources.flush),
            Feeds(resources.feed_source, wheel, clock),
            GroupDirectory(config.share, resources.make_secret),
        ]
        make_router = LoggingRouter if config.logging.print_messages else Router
        self.router = make_router(services)

    async def open(self) -> None:
        """Open the log, which reports to the fan-out. Raises UnusableLogError."""
        await self._log.open(self.fanout.deliver)
        self.fanout.last = self._log.last

    async def flush(self) -> None:
        """Return when every message taken so far is committed and queued for its readers."""
        await self._log.flush()

    async def close(self) -> None:
        """Flush and close the log."""
        await self._log.close()


def make_storage(config: Config, clock: Clock, call_soon: CallSoon, metrics: Metrics) -> Storage:
    """Return the storage that the settings ask for, not yet open."""
    settings = config.log
    if settings.kind == "memory":
        memory_log = MemoryLog[Any](
            settings.keep_messages or MEMORY_MESSAGES, call_soon, metrics=metrics
        )
        return Storage(memory_log, memory_log)
    age_ns = round(settings.keep_days * DAY_NS)
    retention = Retention(settings.keep_messages, age_ns, settings.keep_bytes)
    log = SqliteLog[Any](
        config.data, settings.durability, retention, clock.wall_ns, metrics=metrics
    )
    return Storage(log, log)


@asynccontextmanager
async def open_resources(
    config: Config,
    call_soon: CallSoon,
    flush: Callable[[], None],
    metrics: Metrics,
    make_storage: MakeStorage = make_storage,
) -> AsyncIterator[Resources]:
    """Start the clocks, files and threads of a daemon, and stop them when the block ends."""
    clock, timer, generator = SystemClock(), LoopTimer(), Generator(config.feed)
    time_file = TimeFileThread(
        config.timestamp.time_file or config.data / TIME_FILE, BATCH_INTERVAL, logger.error
    )
    try:
        yield Resources(
            storage=make_storage(config, clock, call_soon, metrics),
            clock=clock,
            wheel=TimerWheel(clock.monotonic, timer.set, flush),
            flush=flush,
            time_file=time_file,
            feed_source=generator,
            make_secret=secrets.token_urlsafe,
        )
    finally:
        generator.close()
        timer.close()
        await time_file.close()
