"""Reading costs work in proportion to the bytes, whatever they are and however they dribble in."""

from collections.abc import Callable
from typing import Final

import pytest

from common.messages import ClientMessage
from common.protocol.codec import Decoder
from common.protocol.registry import FROM_CLIENT
from common.protocol.text_format import TextDecoder
from tests.support.message_strategies import bytewise, work_of

DRIBBLED: Final = 512
AT_ONCE: Final = 1_024
"""Of the smaller of two inputs (bytes)."""

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
"""What never ends a line, by its beginning and what is repeated."""

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
"""By what the work may grow when the bytes double; wholly quadratic work would grow by 4."""


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
def test_a_line_that_dribbles_in_byte_by_byte_costs_in_proportion(line: str) -> None:
    assert growth(*ENDLESS[line], dribbled=True) < LARGEST


@pytest.mark.parametrize("line", ENDLESS)
@pytest.mark.parametrize("end", ["", "\n"], ids=["unfinished", "finished"])
def test_a_line_that_comes_at_once_costs_in_proportion(line: str, end: str) -> None:
    assert growth(*ENDLESS[line], dribbled=False, end=end.encode()) < LARGEST


@pytest.mark.parametrize("lines", LINES)
@pytest.mark.parametrize("dribbled", [False, True], ids=["at once", "dribbled"])
def test_lines_cost_in_proportion(lines: str, dribbled: bool) -> None:
    assert growth(b"", LINES[lines], dribbled=dribbled) < LARGEST


@pytest.mark.parametrize("unit", [b"x", b"x\n", b"\n", b"who\r\n", b"\\x1b"])
@pytest.mark.parametrize("dribbled", [False, True], ids=["at once", "dribbled"])
def test_typed_lines_cost_in_proportion(unit: bytes, dribbled: bool) -> None:
    assert growth(b"", unit, dribbled=dribbled, decoder=TextDecoder) < LARGEST


def test_what_follows_an_overlong_line_is_dropped_without_looking_at_it_twice() -> None:
    decoder = Decoder(FROM_CLIENT, max_line=64)
    assert [*decoder.feed(b"x" * 65)]
    chunks = [b"{" * 2 * AT_ONCE] * 10
    assert work_of(decoder.feed, chunks) < 1.5 * sum(map(len, chunks))
