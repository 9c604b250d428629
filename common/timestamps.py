"""Moments as the protocol writes them: UTC, microseconds, ``2026-11-21T07:11:00.123456Z``."""

import time
from calendar import timegm
from functools import lru_cache
from typing import Final

_SECOND_NS: Final = 1_000_000_000
_SECOND_US: Final = 1_000_000
_LENGTH: Final = len("2026-11-21T07:11:00.123456Z")
_NOT_A_TIME: Final = "{!r} is not a UTC time like 2026-11-21T07:11:00.123456Z"


@lru_cache(maxsize=8)
def _whole_second(seconds: int) -> str:
    # A busy server formats many moments of the same second; strftime would cost 1 us for each.
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def format_time(ns: int) -> str:
    """Write a moment, given in ns since the Unix epoch, cut to whole microseconds."""
    seconds, us = divmod(ns // 1000, _SECOND_US)
    # With a leading 1 that is cut off again: three quarters of the time of a format with zeros.
    return f"{_whole_second(seconds)}.{str(us + _SECOND_US)[1:]}Z"


def parse_time(text: str) -> int:
    """Return the ns since the Unix epoch of a moment that `format_time` wrote.

    Raises ValueError when `text` has any other form.
    """
    us = text[20:26]
    if len(text) != _LENGTH or text[26] != "Z" or not (text.isascii() and us.isdecimal()):
        raise ValueError(_NOT_A_TIME.format(text))
    return _parse_second(text[:20]) + int(us) * 1000


@lru_cache(maxsize=64)
def _parse_second(text: str) -> int:
    seconds = timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%S."))
    if _whole_second(seconds) != text[:-1]:  # strptime takes blanks for zeros, and leap seconds
        raise ValueError(_NOT_A_TIME.format(text))
    return seconds * _SECOND_NS
