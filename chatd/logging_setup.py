"""The daemon's own log: one line an event on stderr, as text or as JSON."""

import logging
from typing import Final

import msgspec

from chatd.config import LoggingConfig
from common.protocol.timestamps import format_time

_SECOND_NS: Final = 1_000_000_000


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return ``time LEVEL text``, and below it the traceback if there is one."""
        text = f"{_time(record)} {record.levelname:<7} {record.getMessage()}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return one JSON object on one line."""
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def configure(config: LoggingConfig) -> None:
    """Send the log of this program to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonFormatter() if config.format == "json" else _TextFormatter())
    logging.basicConfig(level=config.level.upper(), handlers=[handler], force=True)


def _time(record: logging.LogRecord) -> str:
    return format_time(int(record.created * _SECOND_NS))
