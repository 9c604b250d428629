"""Framing as section 1 of the protocol has it, one rule a test."""

from collections.abc import Iterable
from typing import Final

import pytest
from msgspec import UNSET, Raw

from common.messages import ClientMessage
from common.messages.basic import Echo, Ping
from common.messages.chat import Hello, Quit, Who
from common.protocol.codec import MAX_LINE, Decoder, InvalidLine
from common.protocol.registry import FROM_CLIENT
from tests.support.message_strategies import bytewise

PING: Final = b'{"code":"ping"}'
LIMIT: Final = 32


def read(*chunks: bytes, max_line: int = MAX_LINE) -> list[ClientMessage | str]:
    """Return the messages in `chunks`, and for each bad line the reason of its error."""
    decoder = Decoder(FROM_CLIENT, max_line)
    return [said for chunk in chunks for said in shown(decoder.feed(chunk))]


def shown(items: Iterable[ClientMessage | InvalidLine]) -> list[ClientMessage | str]:
    return [item.error.reason if isinstance(item, InvalidLine) else item for item in items]


def test_a_line_is_a_message() -> None:
    assert read(PING + b"\n") == [Ping()]


def test_many_lines_in_one_chunk_are_as_many_messages_in_order() -> None:
    chunk = b"".join(b'{"code":"ping","ref":"%d"}\n' % number for number in range(1_000))
    assert read(chunk) == [Ping(ref=str(number)) for number in range(1_000)]


@pytest.mark.parametrize("end", [b"\r\n", b" \n", b"\t \r\n", b"\n\n\r\n \n"])
def test_carriage_returns_blanks_and_blank_lines_are_ignored(end: bytes) -> None:
    assert read(end + PING + end + b'{"code":"who"}' + end) == [Ping(), Who()]


def test_a_complete_object_is_a_message_before_its_newline_arrives() -> None:
    assert read(PING) == [Ping()]


def test_a_newline_that_arrives_later_is_no_second_message() -> None:
    assert read(PING, b"\n", b"\r\n", PING) == [Ping(), Ping()]


@pytest.mark.parametrize("between", [b"", b" ", b"\t\r"])
def test_several_objects_on_a_line_are_as_many_messages(between: bytes) -> None:
    line = between.join([PING, b'{"code":"who"}', PING])
    assert read(line) == [Ping(), Who(), Ping()]
    assert read(line + b"\n" + line + b"\n") == [Ping(), Who(), Ping()] * 2


def test_an_incomplete_object_waits_for_more_bytes() -> None:
    assert read(b'{"code":"pi') == []
    assert read(b'{"code":"pi', b'ng"', b"}") == [Ping()]


def test_braces_and_quotes_in_a_string_do_not_end_an_object() -> None:
    content = rb'"}{\"}\\"'
    line = b'{"code":"echo","content":%s}' % content
    assert read(*bytewise(line)) == [Echo(Raw(content))]


def test_a_character_or_an_escape_may_be_split_between_chunks() -> None:
    said = 'A"\\ü🙂\U0001f642'
    line = '{"code":"hello","name":"A\\"\\\\ü🙂\\ud83d\\ude42"}'.encode()
    assert read(*bytewise(line)) == [Hello(name=said)]


def test_an_object_ends_with_its_line_so_one_over_two_lines_is_two_bad_lines() -> None:
    stream = b'{"code":\n"ping"}\n'
    assert read(stream) == ["bad_json", "bad_json"]
    assert read(*bytewise(stream)) == read(stream)


def test_as_many_objects_as_lines_is_not_one_object_a_line() -> None:
    assert read(PING + PING + b'\n{"code":\n"ping"}\n') == [Ping(), Ping(), "bad_json", "bad_json"]


def test_a_bad_line_is_one_error_and_the_lines_around_it_are_served() -> None:
    assert read(PING + b"\nrubbish\n" + PING + b"\n") == [Ping(), "bad_json", Ping()]


def test_the_objects_beside_a_bad_one_are_served() -> None:
    assert read(PING + b'{"code":7}' + PING + b"\n") == [Ping(), "unknown_code", Ping()]


def test_garbage_and_the_rest_of_its_line_are_one_error() -> None:
    assert read(PING + b"[1]" + PING + b"\n" + PING) == [Ping(), "bad_json", Ping()]
    assert read(b"}" + PING + PING + b"\n" + PING) == ["bad_json", Ping()]


def test_garbage_waits_for_its_newline() -> None:
    assert read(b"rubbish") == []
    assert read(b"rubbish", b" and more\n") == ["bad_json"]


def test_a_line_as_long_as_the_limit_is_served() -> None:
    line = b'{"code":"ping","ref":"%s"}' % (b"7" * (LIMIT - 24))
    assert len(line) == LIMIT
    for end in (b"", b"\n", b"\r\n"):
        assert read(line + end, max_line=LIMIT) == [Ping(ref="7" * (LIMIT - 24))]


@pytest.mark.parametrize("end", [b'"}', b'"}\n', b""])
def test_a_line_one_byte_longer_is_answered_once_and_its_rest_is_dropped(end: bytes) -> None:
    line = b'{"code":"ping","ref":"' + b"7" * (LIMIT - 21 - len(end.strip())) + end
    assert len(line.strip()) == LIMIT + 1
    stream = line.strip() + PING + b"\n" + PING
    assert read(stream, max_line=LIMIT) == ["line_too_long", Ping()]
    assert read(*bytewise(stream), max_line=LIMIT) == ["line_too_long", Ping()]


def test_the_limit_is_for_each_object_where_several_share_a_line() -> None:
    assert read(PING * 10 + b"\n" + PING * 10, max_line=LIMIT) == [Ping()] * 20


def test_blanks_around_an_object_do_not_count_towards_the_limit() -> None:
    blanks = b" " * 2 * LIMIT
    assert read(blanks + PING + blanks + b"\n" + blanks, max_line=LIMIT) == [Ping()]


def test_blanks_in_and_behind_what_is_no_object_do_count() -> None:
    for line in (b"x" + b" " * LIMIT, b"{" + b" " * LIMIT):
        assert read(line + b"\n", max_line=LIMIT) == ["line_too_long"]
        assert read(line, b"\n", max_line=LIMIT) == ["line_too_long"]


def test_the_end_of_file_completes_an_unfinished_line() -> None:
    decoder = Decoder(FROM_CLIENT)
    assert shown(decoder.feed(b'{"code":"quit"}{"code":"quit"')) == [Quit()]
    assert shown(decoder.finish()) == ["bad_json"]


@pytest.mark.parametrize("tail", [b"", b" \r", PING])
def test_the_end_of_file_adds_nothing_where_nothing_is_unfinished(tail: bytes) -> None:
    decoder = Decoder(FROM_CLIENT)
    list(decoder.feed(tail))
    assert list(decoder.finish()) == []


def test_the_end_of_file_in_an_overlong_line_adds_nothing_to_its_one_error() -> None:
    decoder = Decoder(FROM_CLIENT, LIMIT)
    assert shown(decoder.feed(b"x" * (LIMIT + 1))) == ["line_too_long"]
    assert shown(decoder.feed(b"x" * 10)) == []
    assert list(decoder.finish()) == []


def test_unknown_fields_are_ignored() -> None:
    assert read(b'{"code":"ping","new":{"a":[1,null]},"ref":"1","newer":"x"}\n') == [Ping(ref="1")]


def test_the_code_may_stand_anywhere_and_be_written_with_escapes() -> None:
    assert read(b'{"ref":"1","\\u0063ode":"p\\u0069ng"}\n') == [Ping(ref="1")]


def test_of_a_field_given_twice_the_last_counts() -> None:
    assert read(b'{"code":"ping","ref":"1","ref":"2"}\n') == [Ping(ref="2")]


def test_a_field_left_out_is_unset_and_not_null() -> None:
    (ping,) = read(PING)
    assert isinstance(ping, Ping)
    assert ping.ref is UNSET
    assert read(b'{"code":"ping","ref":null}\n') == ["bad_field"]
