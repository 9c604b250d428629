"""Which log the daemon keeps, as its settings say."""

import asyncio
from typing import Any, Final

from chatd.config import Config
from chatd.messagelog.base import DAY_NS, Log, Retention
from chatd.messagelog.memory import MemoryLog
from chatd.messagelog.sqlite.log import SqliteLog
from common.system.clock import Clock

MEMORY_MESSAGES: Final = 100_000
"""Messages that a log in memory keeps where no number was given."""


def make_log(config: Config, clock: Clock) -> Log[Any]:
    """Return the log, not yet open."""
    if config.log == "memory":
        return MemoryLog(
            config.keep_messages or MEMORY_MESSAGES, asyncio.get_running_loop().call_soon
        )
    retention = Retention(config.keep_messages, round(config.keep_days * DAY_NS), config.keep_bytes)
    return SqliteLog(config.data, config.durability, retention, clock.wall_ns)
