"""How much work reading costs: counted, not timed, so that a busy machine changes nothing.

The unit is a byte searched, a byte copied or a call, whatever the code is made of:

- a hook sees every call, and over which buffer a method of bytes goes;
- the patterns of the framing are replaced by ones that say how far they looked;
- the peak of memory in each step shows what was copied, by a slice for example.
"""

import re
import sys
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, NamedTuple

import pytest

from common import framing
from common.codec import InvalidLine

_LOOKS_AT_THE_START: Final = "startswith"

Feed = Callable[[bytes], Iterable[object | InvalidLine]]


class _Counter:
    """Adds up work; a profile hook of Python."""

    def __init__(self) -> None:
        self.work = 0

    def __call__(self, _frame: FrameType, event: str, called: Any) -> None:
        if event not in ("call", "c_call"):
            return
        self.work += 1
        buffer = getattr(called, "__self__", None)
        if isinstance(buffer, bytes | bytearray) and called.__name__ != _LOOKS_AT_THE_START:
            self.work += len(buffer)


class _CountingPattern(NamedTuple):
    pattern: re.Pattern[bytes]
    counter: _Counter

    def search(self, buffer: bytes, start: int = 0) -> re.Match[bytes] | None:
        found = self.pattern.search(buffer, start)
        self.counter.work += max(0, (found.end() if found else len(buffer)) - start)
        return found


def work_of(feed: Feed, chunks: Iterable[bytes]) -> int:
    """Return what it costs to feed `chunks` and to consume all that comes out."""
    with _counting() as counter:
        before, _ = tracemalloc.get_traced_memory()
        for _ in _steps(feed, chunks):
            now, peak = tracemalloc.get_traced_memory()
            counter.work += peak - before
            before = now
            tracemalloc.reset_peak()
    return counter.work


def _steps(feed: Feed, chunks: Iterable[bytes]) -> Iterator[None]:
    for chunk in chunks:
        for _ in feed(chunk):
            yield
        yield


@contextmanager
def _counting() -> Iterator[_Counter]:
    counter = _Counter()
    outer = sys.getprofile()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in vars(framing).copy().items():
            if isinstance(value, re.Pattern):
                patch.setattr(framing, name, _CountingPattern(value, counter))
        tracemalloc.start()
        sys.setprofile(counter)
        try:
            yield counter
        finally:
            sys.setprofile(outer)
            tracemalloc.stop()
