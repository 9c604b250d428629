"""What a client may send, good and bad, and how the network may cut it."""

import json
from collections.abc import Iterator
from typing import Final

from hypothesis import strategies as st

LIMIT: Final = 64
"""A limit of a line, in bytes, that streams reach often."""

NEWLINES: Final = st.sampled_from([b"\n", b"\r\n", b"\n\n", b" \t\r\n"])
BLANKS: Final = st.sampled_from([b"", b" ", b"\t", b"\r", b"   "])

VALID: Final = (
    b'{"code":"ping"}',
    b'{"code":"ping","ref":"7"}',
    b'{ "code" : "who" }',
    b'{"code":"echo","content":{"a":["}",{}]}}',
    b'{"code":"echo","content":"\\"}{\\\\"}',
    b'{"code":"quit","extra":[1,{"b":null}]}',
    '{"code":"outgoing","to":"Zoë","content":"🙂\\u00e9"}'.encode(),
    b'{"request_id":0,"data":"Hub&&id&&1"}',
)
"""Messages of a client, none longer than `LIMIT`."""

FRAGMENTS: Final = (
    *(b"{", b"}", b"{{", b"}}", b"{}", b"[", b"]", b'"', b"\\", b'\\"', b'{"', b'"}', b":", b","),
    *(b"null", b"-", b"1e999", b"\x00", b"\x0b", b"\xff", b"\xf0\x9f", b"\xe2\x80\xae", b"\\ud800"),
    *(b'{"code":"nope"}', b'{"code":"ping"', b'{"code":7}', b'{"code":"ping","ref":7}', b"[{}]"),
    *(b'{"request_id":[]}', b"GET / HTTP/1.1", "é🙂".encode(), b"\xef\xbb\xbf"),
)


def _mutated(message: bytes, position: int, removed: int, inserted: bytes) -> bytes:
    position %= len(message) + 1
    return message[:position] + inserted + message[position + removed :]


def _echo_of_size(size: int) -> bytes:
    return b'{"code":"echo","content":"%s"}' % (
        b"x" * (size - len(b'{"code":"echo","content":""}'))
    )


MESSAGES: Final = st.sampled_from(VALID)
MUTATED: Final = st.builds(
    _mutated, MESSAGES, st.integers(0, LIMIT), st.integers(0, 2), st.binary(max_size=1)
)
JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
).map(lambda value: json.dumps(value).encode())
LONG: Final = st.integers(LIMIT - 2, LIMIT + 2).flatmap(
    lambda size: st.sampled_from([_echo_of_size(size), b"x" * size, b"{" * size, b" " * size])
)
GARBAGE: Final = st.sampled_from(FRAGMENTS) | st.binary(max_size=8) | MUTATED | JSON
STREAMS: Final = st.lists(MESSAGES | GARBAGE | LONG | NEWLINES | BLANKS, max_size=12).map(b"".join)

CUTS: Final = st.lists(st.integers(1, 50), max_size=40)
"""Sizes of chunks, in bytes; what they leave over is one more chunk."""


def cut(stream: bytes, sizes: list[int]) -> Iterator[bytes]:
    """Yield `stream` in chunks of these `sizes` and one of the rest."""
    for size in sizes:
        chunk, stream = stream[:size], stream[size:]
        if chunk:
            yield chunk
    if stream:
        yield stream


def bytewise(stream: bytes) -> Iterator[bytes]:
    """Yield `stream` byte by byte."""
    return (stream[position : position + 1] for position in range(len(stream)))
