"""Moments as the protocol writes them: UTC, microseconds, ``2026-11-21T07:11:00.123456Z``.

A server of many exchanges formats and checks them by the hundred thousand in a second, most of
them in the same few milliseconds: so these are cached, and their ends are looked up in a table.
"""

import time
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1)
_MS: Final = timedelta(milliseconds=1)
_MS_NS: Final = 1_000_000
_NOT_A_TIME: Final = "{!r} is not a UTC time like 2026-11-21T07:11:00.123456Z"

_END: Final = tuple(f"{us:03}Z" for us in range(1_000))
_US_OF: Final = {end: us for us, end in enumerate(_END)}


def format_time(ns: int) -> str:
    """Write a moment, given in ns since the Unix epoch, cut to whole microseconds."""
    global _latest  # noqa: PLW0603 - a cache
    start, text = _latest
    # What is left of a millisecond is a small number: Python counts with it three times as fast.
    us = (ns - start) // 1_000
    if 0 <= us < 1_000:
        return text + _END[us]
    ms, rest = divmod(ns, _MS_NS)
    _latest = ns - rest, _format_ms(ms)
    return _latest[1] + _END[rest // 1_000]


def check_time(text: str) -> None:
    """Raise ValueError unless `parse_time` takes `text`."""
    if text[23:] not in _US_OF or _parse_ms(text[:23]) is None:
        raise ValueError(_NOT_A_TIME.format(text))


def parse_time(text: str) -> int:
    """Return the ns since the Unix epoch of a moment that `format_time` wrote.

    Raises ValueError when `text` has any other form, or is before the epoch.
    """
    us, ms_ns = _US_OF.get(text[23:]), _parse_ms(text[:23])
    if us is None or ms_ns is None:
        raise ValueError(_NOT_A_TIME.format(text))
    return ms_ns + us * 1_000


_latest: tuple[int, str] = (0, "1970-01-01T00:00:00.000")
"""The millisecond of the last moment: its ns and its text, in one so that threads agree."""


@lru_cache(maxsize=256)
def _format_ms(ms: int) -> str:
    seconds, ms = divmod(ms, 1_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{ms:03}"


@lru_cache(maxsize=256)
def _parse_ms(text: str) -> int | None:
    """Return the ns of a moment without its microseconds, or None when that is not one."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    # There are other forms that it takes.
    if moment.isoformat(timespec="milliseconds") != text or moment < _EPOCH:
        return None
    return (moment - _EPOCH) // _MS * _MS_NS
