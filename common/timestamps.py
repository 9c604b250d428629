"""Moments as the protocol writes them: UTC, microseconds, ``2026-11-21T07:11:00.123456Z``.

A server of many exchanges formats and parses them by the hundred thousand in a second, most of
them in the same few milliseconds: so these are cached, and their ends are looked up in a table.
"""

import time
from calendar import timegm
from functools import lru_cache
from typing import Final

_MS_NS: Final = 1_000_000
_NOT_A_TIME: Final = "{!r} is not a UTC time like 2026-11-21T07:11:00.123456Z"

US: Final = tuple(f"{us:03}" for us in range(1_000))
"""The last three digits of a moment in us."""

_END: Final = tuple(f"{us}Z" for us in US)
_US_OF: Final = {end: us for us, end in enumerate(_END)}


def format_time(ns: int) -> str:
    """Write a moment, given in ns since the Unix epoch, cut to whole microseconds."""
    return _format_ms(ns // _MS_NS) + _END[ns // 1_000 % 1_000]


def parse_time(text: str) -> int:
    """Return the ns since the Unix epoch of a moment that `format_time` wrote.

    Raises ValueError when `text` has any other form.
    """
    us = _US_OF.get(text[23:])
    if us is None:
        raise ValueError(_NOT_A_TIME.format(text))
    try:
        return _parse_ms(text[:23]) + us * 1_000
    except ValueError:
        raise ValueError(_NOT_A_TIME.format(text)) from None


@lru_cache(maxsize=256)
def _format_ms(ms: int) -> str:
    seconds, ms = divmod(ms, 1_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{ms:03}"


@lru_cache(maxsize=256)
def _parse_ms(text: str) -> int:
    seconds = timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))
    ms = seconds * 1_000 + int(text[20:])
    if _format_ms(ms) != text:  # strptime takes blanks for zeros, and leap seconds
        raise ValueError(text)
    return ms * _MS_NS
