"""The composition root: which log the daemon keeps, as its settings say."""

import asyncio
from typing import Any, Final, NamedTuple

from chatd.config import Config
from chatd.messagelog.base import DAY_NS, MessageLog, NameStore, Retention
from chatd.messagelog.memory import MemoryLog
from chatd.messagelog.sqlite.log import SqliteLog
from common.system.clock import Clock

MEMORY_MESSAGES: Final = 100_000
"""Messages that a log in memory keeps where no number was given."""


class Storage(NamedTuple):
    """What keeps messages and names. To open and to close the log does so for both."""

    log: MessageLog[Any]
    names: NameStore


def make_storage(config: Config, clock: Clock) -> Storage:
    """Return the storage that the settings ask for, not yet open."""
    if config.log == "memory":
        keep = config.keep_messages or MEMORY_MESSAGES
        memory_log = MemoryLog[Any](keep, asyncio.get_running_loop().call_soon)
        return Storage(memory_log, memory_log)
    retention = Retention(config.keep_messages, round(config.keep_days * DAY_NS), config.keep_bytes)
    log = SqliteLog[Any](config.data, config.durability, retention, clock.wall_ns)
    return Storage(log, log)
