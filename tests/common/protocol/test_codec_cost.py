"""Decoding costs work in proportion to the bytes, whatever they are and however they arrive.

Work is counted, not timed, so that a busy machine changes nothing. The unit is a byte searched, a
byte copied or a call:

- a profile hook sees every call, and the buffer whose method is called;
- the patterns of the framing are replaced by ones that count how far they searched;
- the peak of memory in each step shows what was copied, for example by a slice.
"""

import re
import sys
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, NamedTuple

import pytest

from common.messages import ClientMessage
from common.protocol import framing
from common.protocol.codec import Decoder, InvalidLine
from common.protocol.registry import FROM_CLIENT
from common.protocol.text_format import TextDecoder
from tests.support.message_strategies import bytewise

DRIBBLED: Final = 512
AT_ONCE: Final = 1_024
"""Bytes of the smaller of two inputs."""

ENDLESS: Final = {
    "one open string": (b'{"code":"', b"a"),
    "one open string of backslashes": (b'{"code":"', b"\\"),
    "one open string of characters of several bytes": (b'{"code":"', "é".encode()),
    "one object after another": (b"", b"{}"),
    "one message after another": (b"", b'{"code":"ping"}'),
    "objects with blanks between": (b"", b"{} \t"),
    "open braces": (b"", b"{"),
    "closing braces": (b"", b"}"),
    "an object of objects": (b"{", b"{}"),
    "nested objects": (b"", b'{"a":'),
    "nested lists": (b'{"a":', b"["),
    "quotes": (b"{", b'"'),
    "quotes that alternate with backslashes": (b"{", b'"\\'),
    "quotes that alternate with braces": (b"", b'{"'),
    "blanks": (b"", b" \t\r"),
    "blanks in an object": (b'{"code"', b" "),
    "garbage that is no object": (b"", b"x"),
    "invalid UTF-8": (b"", b"\xff"),
}
"""Lines that never end: their beginning, and what is repeated."""

LINES: Final = {
    "blank lines": b"\n",
    "blank lines with carriage returns": b" \r\n",
    "lines of one bad byte": b"x\n",
    "lines of one empty object": b"{}\n",
    "lines of one invalid byte": b"\xff\n",
    "messages": b'{"code":"ping"}\n',
    "messages with carriage returns": b'{"code":"ping"}\r\n',
    "changes of format that are none": b'{"code":"echo","format":"text"}\n',
}

LARGEST: Final = 2.1
"""The factor by which work may grow when the bytes double; quadratic work would grow by 4."""


LOOKS_AT_THE_START: Final = "startswith"

Feed = Callable[[bytes], Iterable[object | InvalidLine]]


class WorkCounter:
    """Adds up work; a profile hook of Python."""

    def __init__(self) -> None:
        self.work = 0

    def __call__(self, _frame: FrameType, event: str, called: Any) -> None:
        if event not in ("call", "c_call"):
            return
        self.work += 1
        buffer = getattr(called, "__self__", None)
        if isinstance(buffer, bytes | bytearray) and called.__name__ != LOOKS_AT_THE_START:
            self.work += len(buffer)


class CountingPattern(NamedTuple):
    pattern: re.Pattern[bytes]
    counter: WorkCounter

    def search(self, buffer: bytes, start: int = 0) -> re.Match[bytes] | None:
        found = self.pattern.search(buffer, start)
        self.counter.work += max(0, (found.end() if found else len(buffer)) - start)
        return found


def work_of(feed: Feed, chunks: Iterable[bytes]) -> int:
    """Return the work of feeding `chunks` and consuming every message."""
    with counting() as counter:
        before, _ = tracemalloc.get_traced_memory()
        for _ in steps(feed, chunks):
            now, peak = tracemalloc.get_traced_memory()
            counter.work += peak - before
            before = now
            tracemalloc.reset_peak()
    return counter.work


def steps(feed: Feed, chunks: Iterable[bytes]) -> Iterator[None]:
    for chunk in chunks:
        for _ in feed(chunk):
            yield
        yield


@contextmanager
def counting() -> Iterator[WorkCounter]:
    counter = WorkCounter()
    outer = sys.getprofile()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in vars(framing).copy().items():
            if isinstance(value, re.Pattern):
                patch.setattr(framing, name, CountingPattern(value, counter))
        tracemalloc.start()
        sys.setprofile(counter)
        try:
            yield counter
        finally:
            sys.setprofile(outer)
            tracemalloc.stop()


Decoders = type[TextDecoder] | Callable[[], Decoder[ClientMessage]]


def json_decoder() -> Decoder[ClientMessage]:
    return Decoder(FROM_CLIENT)


def filled(start: bytes, unit: bytes, size: int) -> bytes:
    return (start + unit * (size // len(unit)))[:size]


def growth(
    start: bytes,
    unit: bytes,
    *,
    dribbled: bool,
    end: bytes = b"",
    decoder: Decoders = json_decoder,
) -> float:
    size = DRIBBLED if dribbled else AT_ONCE
    small, large = (
        work_of(decoder().feed, bytewise(stream) if dribbled else [stream])
        for stream in (filled(start, unit, size) + end, filled(start, unit, 2 * size) + end)
    )
    return large / small


@pytest.mark.parametrize("line", ENDLESS)
def test_a_line_that_arrives_byte_by_byte_costs_in_proportion(line: str) -> None:
    assert growth(*ENDLESS[line], dribbled=True) < LARGEST


@pytest.mark.parametrize("line", ENDLESS)
@pytest.mark.parametrize("end", ["", "\n"], ids=["unfinished", "finished"])
def test_a_line_that_arrives_at_once_costs_in_proportion(line: str, end: str) -> None:
    assert growth(*ENDLESS[line], dribbled=False, end=end.encode()) < LARGEST


@pytest.mark.parametrize("lines", LINES)
@pytest.mark.parametrize("dribbled", [False, True], ids=["at once", "dribbled"])
def test_lines_cost_in_proportion(lines: str, dribbled: bool) -> None:
    assert growth(b"", LINES[lines], dribbled=dribbled) < LARGEST


@pytest.mark.parametrize("unit", [b"x", b"x\n", b"\n", b"who\r\n", b"\\x1b"])
@pytest.mark.parametrize("dribbled", [False, True], ids=["at once", "dribbled"])
def test_typed_lines_cost_in_proportion(unit: bytes, dribbled: bool) -> None:
    assert growth(b"", unit, dribbled=dribbled, decoder=TextDecoder) < LARGEST


def test_the_rest_of_an_overlong_line_is_searched_once() -> None:
    decoder = Decoder(FROM_CLIENT, max_line=64)
    assert [*decoder.feed(b"x" * 65)]
    chunks = [b"{" * 2 * AT_ONCE] * 10
    assert work_of(decoder.feed, chunks) < 1.5 * sum(map(len, chunks))
