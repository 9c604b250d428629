"""What comes out of the decoders depends on the bytes alone, not on how they were cut."""

import json
from collections.abc import Iterable, Iterator
from typing import Final, NoReturn

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from common.messages.chat import Hello
from common.protocol.codec import MAX_LINE, Decoder, InvalidLine, encode
from common.protocol.registry import FROM_CLIENT
from common.protocol.text_format import TextDecoder
from tests.support.message_strategies import (
    BLANKS,
    CUTS,
    GARBAGE,
    LIMIT,
    MESSAGES,
    NEWLINES,
    STREAMS,
    bytewise,
    cut,
)

HELLO: Final = b'{"code":"hello","format":"text"}'
HELLOS: Final = st.sampled_from(
    [
        HELLO,
        b'{"code":"hello","name":"ann","format":"text"}',
        b'{"code":"hello","\\u0066ormat":"text"}',
        b'{"code":"hello","forma\\u0074":"text"}',
        b'{"format":"text","code":"hello"}',
    ]
)


def decoded(chunks: Iterable[bytes], max_line: int = LIMIT) -> list[bytes]:
    """Return what a decoder makes of `chunks` and the end of file after them, as bytes."""
    decoder = Decoder(FROM_CLIENT, max_line)
    items = [item for chunk in chunks for item in decoder.feed(chunk)]
    items += decoder.finish()
    return [encode(item.error if isinstance(item, InvalidLine) else item) for item in items]


def decoded_as_text(chunks: Iterable[bytes], max_line: int = LIMIT) -> list[bytes]:
    """Return what a text decoder makes of `chunks` and the end of file, as bytes."""
    decoder = TextDecoder(max_line)
    items = [item for chunk in chunks for item in decoder.feed(chunk)]
    items += decoder.finish()
    return [encode(item.error if isinstance(item, InvalidLine) else item) for item in items]


@settings(max_examples=500)
@given(stream=STREAMS, sizes=CUTS)
@example(stream=b"x" * LIMIT + b"\r\n", sizes=[]).via("the limit, and a carriage return")
@example(stream=b"x" * (LIMIT - 1) + b"  \n", sizes=[]).via("blanks that pass the limit")
@example(stream=b" " * (LIMIT + 1) + b'{"code":"ping"}\n', sizes=[]).via("blanks before")
@example(stream=b'{"code":"ping"}{"code":"ping","ref":"}\n{"}\n', sizes=[]).via("a fake boundary")
@example(stream=b'{"code":"ping"}{"code":"ping"}\n{"code":\n"ping"}\n', sizes=[]).via("3 in 3")
def test_messages_do_not_depend_on_the_chunks(stream: bytes, sizes: list[int]) -> None:
    whole = decoded([stream])
    assert decoded(cut(stream, sizes)) == whole
    assert decoded(bytewise(stream)) == whole


@settings(max_examples=300)
@given(stream=STREAMS, sizes=CUTS)
def test_typed_lines_do_not_depend_on_the_chunks(stream: bytes, sizes: list[int]) -> None:
    whole = decoded_as_text([stream])
    assert decoded_as_text(cut(stream, sizes)) == whole
    assert decoded_as_text(bytewise(stream)) == whole


@pytest.mark.parametrize("size", [MAX_LINE - 1, MAX_LINE, MAX_LINE + 1])
@pytest.mark.parametrize("form", [b'{"code":"echo","content":"%s"}', b'{"%s', b"{%s", b"%s"])
@pytest.mark.parametrize("end", [b"", b"\n", b" \r\n"])
def test_at_the_default_limit_messages_do_not_depend_on_the_chunks(
    form: bytes, size: int, end: bytes
) -> None:
    line = form % (b"x" * (size - len(form % b"")))
    stream = line + end + b'{"code":"ping"}\n' + line + b"\n"
    whole = decoded([stream], MAX_LINE)
    for step in (1_000, MAX_LINE, MAX_LINE + 1):
        assert decoded(cut(stream, [step] * 200), MAX_LINE) == whole


# The rules of framing once more, written for the reader and not for speed.


def outline(stream: bytes) -> list[str]:
    """Return what the protocol makes of `stream`: "message" or the reason of an error, for each."""
    return [verdict for line in stream.split(b"\n") for verdict in outline_of_line(line)]


def outline_of_line(line: bytes) -> Iterator[str]:
    while line := line.lstrip(b" \t\r"):
        end = end_of_object(line) if line.startswith(b"{") else len(line)
        if end > LIMIT:
            yield "line_too_long"
            return
        yield verdict(line[:end])
        line = line[end:]


def end_of_object(line: bytes) -> int:
    depth, in_string, escaped = 0, False, False
    for offset, byte in enumerate(line):
        character = chr(byte)
        if in_string:
            in_string = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            in_string = True
        elif character in "{}":
            depth += 1 if character == "{" else -1
            if not depth:
                return offset + 1
    return len(line)


def verdict(piece: bytes) -> str:
    try:
        value = json.loads(piece.decode(), parse_constant=refuse)
        json.dumps(value, ensure_ascii=False).encode()  # no lone surrogates
    except ValueError:
        return "bad_json"
    if not isinstance(value, dict):
        return "not_object"
    codes = {kind.__struct_config__.tag for kind in FROM_CLIENT.kinds}
    is_known = isinstance(value.get("code"), str) and value["code"] in codes
    is_bare_request = "code" not in value and "request_id" in value
    return "message" if is_known or is_bare_request else "unknown_code"


def refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def verdicts(stream: bytes) -> list[str]:
    items = [json.loads(line) for line in decoded([stream])]
    reasons = [item["reason"] if item.get("code") == "error" else "message" for item in items]
    return ["message" if reason == "bad_field" else reason for reason in reasons]


@settings(max_examples=500)
@given(stream=STREAMS)
def test_every_object_and_every_bad_rest_of_a_line_comes_out_once_and_in_order(
    stream: bytes,
) -> None:
    assert verdicts(stream) == outline(stream)


@given(garbage=st.lists(GARBAGE, max_size=5).map(b"".join), sizes=CUTS)
def test_after_a_line_of_any_garbage_the_session_goes_on(garbage: bytes, sizes: list[int]) -> None:
    stream = garbage + b'\n{"code":"ping","ref":"still here"}'
    assert decoded(cut(stream, sizes))[-1] == b'{"code":"ping","ref":"still here"}\n'


@settings(max_examples=300)
@given(
    before=st.lists(
        MESSAGES | BLANKS | NEWLINES | st.builds(bytes.__add__, GARBAGE, st.just(b"\n"))
    ).map(b"".join),
    hello=HELLOS,
    after=BLANKS.flatmap(lambda blanks: STREAMS.map(blanks.__add__)),
    sizes=CUTS,
)
@example(before=b"", hello=HELLO, after=b" hi all\nbye", sizes=[]).via("text on the same line")
@example(before=b"", hello=HELLO, after=b"\r\nhi all\n", sizes=[]).via("a line of its own")
@example(before=b"x\n", hello=HELLO, after=b"\n", sizes=[]).via("the end of a block")
@example(before=b"{%s} {}\n" % (b" " * LIMIT), hello=HELLO, after=b"", sizes=[]).via("an overflow")
def test_after_a_change_of_format_the_rest_is_every_byte_behind_the_hello(
    before: bytes, hello: bytes, after: bytes, sizes: list[int]
) -> None:
    for chunks in (cut(before + hello + after, sizes), bytewise(before + hello + after)):
        decoder = Decoder(FROM_CLIENT, LIMIT)
        assert any(
            isinstance(item, Hello) and item.format == "text"
            for chunk in chunks
            for item in decoder.feed(chunk)
        )
        assert decoder.take_rest() + b"".join(chunks) == after
        assert decoder.take_rest() == b""
