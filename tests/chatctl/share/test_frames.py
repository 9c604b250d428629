"""Framing between peers: lines and raw bytes, in chunks of any size."""

from collections.abc import Mapping
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatctl.share.frames import MAX_LINE, Frame, FrameDecoder, PeerProtocolError
from chatctl.share.swarm import REGISTRY
from common.messages.base import Message
from common.messages.peer_wire import KeepAlive, ManifestHeader, Piece, RequestAny
from common.protocol.codec import encode

LIMITS: Final[Mapping[type[Message], int]] = {Piece: 100, ManifestHeader: 50}
MESSAGES: Final = st.lists(
    st.one_of(
        st.just((KeepAlive(), None)),
        st.just((RequestAny(), None)),
        st.binary(min_size=1, max_size=100).map(lambda raw: (Piece("1", 2, len(raw)), raw)),
        st.binary(max_size=50).map(lambda raw: (ManifestHeader("1", len(raw)), raw)),
    )
)


def reading() -> FrameDecoder:
    decoder = FrameDecoder(REGISTRY)
    decoder.limits = LIMITS
    return decoder


def fed(decoder: FrameDecoder, chunk: bytes) -> list[Frame]:
    return list(decoder.feed(chunk, len(chunk)))


@given(MESSAGES, st.lists(st.integers(1, 40), min_size=1))
def test_frames_do_not_depend_on_the_chunks(
    said: list[tuple[Message, bytes | None]], sizes: list[int]
) -> None:
    stream = b"".join(encode(message) + (raw or b"") for message, raw in said)
    expected: list[Frame] = []
    for message, raw in said:
        expected.append(Frame(message, None))
        if raw is not None:
            expected.append(Frame(message, bytearray(raw)))
    decoder, heard = reading(), list[Frame]()
    while stream:
        for size in sizes:
            heard += fed(decoder, stream[:size])
            stream = stream[size:]
    assert heard == expected


def test_raw_bytes_may_look_like_lines() -> None:
    raw = b'{"code":"alive"}\n\n'
    heard = fed(reading(), encode(Piece("1", 0, len(raw))) + raw + encode(KeepAlive()))
    assert heard[1:] == [Frame(Piece("1", 0, len(raw)), bytearray(raw)), Frame(KeepAlive(), None)]


def test_the_header_comes_before_its_bytes_are_there() -> None:
    decoder = reading()
    assert fed(decoder, encode(Piece("1", 0, 3)) + b"ab") == [Frame(Piece("1", 0, 3), None)]
    assert fed(decoder, b"c") == [Frame(Piece("1", 0, 3), bytearray(b"abc"))]


def test_only_the_filled_part_of_the_buffer_is_read() -> None:
    line = encode(KeepAlive())
    assert list(reading().feed(line + b"not a message\n", len(line))) == [Frame(KeepAlive(), None)]


def test_blank_lines_and_carriage_returns_are_ignored() -> None:
    assert fed(reading(), b'\n \r\n{"code":"alive"}\r\n') == [Frame(KeepAlive(), None)]


@pytest.mark.parametrize(
    ("stream", "text"),
    [
        (b"hello\n", "an invalid message: not JSON"),
        (b'{"code":"hello"}\n', "an invalid message: unknown code 'hello'"),
        (b'{"code":"get","owner":"1","index":-1}\n', "at field index"),
        (encode(Piece("1", 0, 101)), "announced 101 bytes after piece, at most 100"),
        (encode(ManifestHeader("1", 2**40)), "bytes after description, at most 50"),
        (b" " * (MAX_LINE + 1), "a line of more than 65536 bytes"),
        (b" " * (MAX_LINE + 1) + b"\n", "a line of more than 65536 bytes"),
    ],
)
def test_a_protocol_error_names_its_reason(stream: bytes, text: str) -> None:
    with pytest.raises(PeerProtocolError, match=text):
        fed(reading(), stream)


def test_before_the_handshake_no_raw_bytes_may_be_announced() -> None:
    with pytest.raises(PeerProtocolError, match="at most 0 are allowed"):
        fed(FrameDecoder(REGISTRY), encode(ManifestHeader("1", 1)))
