"""Why something is no message: the reason, what it correlates with, and what a person can do."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from common.messages import Error
from common.messages.basic import Ping
from common.messages.request import BareRequest, BareResponse, Request
from common.protocol.codec import Decoder, InvalidLine, encode
from common.protocol.registry import FROM_CLIENT, FROM_SERVER
from tests.support.message_strategies import GARBAGE

REASONS: Final[dict[str, tuple[bytes, str, str]]] = {
    "no JSON": (b"hello?", "bad_json", "invalid character (byte 0)"),
    "a byte order mark": (b'\xef\xbb\xbf{"code":"ping"}', "bad_json", "(byte 0)"),
    "an object that breaks off": (b'{"code":"ping"', "bad_json", "truncated"),
    "a comma too many": (b'{"code":"ping",}', "bad_json", "trailing comma in object (byte 15)"),
    "single quotes": (b"{'code':'ping'}", "bad_json", "expected '\"' (byte 1)"),
    "a comment": (b'{"code":"ping" /**/}', "bad_json", "expected ',' or '}' (byte 15)"),
    "a NaN": (b'{"code":"ping","x":NaN}', "bad_json", "invalid character (byte 19)"),
    "a number with a leading zero": (b'{"code":"ping","x":07}', "bad_json", "invalid number"),
    "a raw NUL": (b'{"code":"ping","x":"\x00"}', "bad_json", "invalid character (byte 20)"),
    "a raw tab in a string": (b'{"code":"ping","x":"\t"}', "bad_json", "invalid character"),
    "an unknown escape": (b'{"code":"ping","x":"\\x"}', "bad_json", "invalid escaped character"),
    "half a surrogate pair": (b'{"code":"ping","ref":"\\ud800 and more"}', "bad_json", "escape"),
    "the wrong half first": (b'{"code":"ping","ref":"\\udc00\\ud800"}', "bad_json", "surrogate"),
    "half a pair where nobody looks": (b'{"code":"ping","x":"\\ud800......"}', "bad_json", ""),
    "syntax behind a wrong type": (b'{"code":"ping","ref":7,}', "bad_json", "trailing comma"),
    "no UTF-8": (b'{"code":"ping","ref":"\xff"}', "bad_json", "byte 23 of the line is not UTF-8"),
    "no UTF-8 where nobody looks": (b'{"code":"ping","x":"\xff"}', "bad_json", "not UTF-8"),
    "no UTF-8 in an echo": (b'{"code":"echo","content":"\xc3"}', "bad_json", "not UTF-8"),
    "a surrogate in UTF-8": (b'{"code":"ping","ref":"\xed\xa0\x80"}', "bad_json", "not UTF-8"),
    "a number": (b"12", "not_object", "JSON object such as"),
    "a string": (b'"ping"', "not_object", "JSON object such as"),
    "a list": (b'[{"code":"ping"}]', "not_object", "JSON object such as"),
    "nothing": (b"null", "not_object", "JSON object such as"),
    "an empty object": (b"{}", "unknown_code", "no code that is a string; known codes: "),
    "a code that is no string": (b'{"code":1e999}', "unknown_code", "no code that is a string"),
    "a code that is null": (b'{"code":null}', "unknown_code", "no code that is a string"),
    "a code nobody knows": (
        b'{"code":"pong"}',
        "unknown_code",
        "unknown code 'pong'; known codes",
    ),
    "a code in capitals": (b'{"code":"Ping"}', "unknown_code", "unknown code 'Ping'"),
    "a very long code": (b'{"code":"%s"}' % (b"x" * 999), "unknown_code", "x…'; known codes"),
    "two codes, the last unknown": (b'{"code":"ping","code":"x"}', "unknown_code", "'x'"),
    "two codes that differ": (b'{"code":"ping","code":"who"}', "bad_field", "at field code"),
    "a field that is missing": (b'{"code":"outgoing","to":"b"}', "bad_field", "field content"),
    "a wrong type": (
        b'{"code":"ping","ref":7}',
        "bad_field",
        "Expected str, got int - at field ref",
    ),
    "a null": (b'{"code":"hello","name":null}', "bad_field", "Expected str, got null"),
    "too large": (b'{"code":"history","limit":1001}', "bad_field", "<= 1000 - at field limit"),
    "larger than any": (b'{"code":"hello","version":%s}' % (b"9" * 5_000), "bad_field", "range"),
    "a fraction": (b'{"code":"history","limit":1.5}', "bad_field", "Expected int, got float"),
    "a truth": (b'{"code":"history","limit":true}', "bad_field", "Expected int, got bool"),
    "an empty ref": (b'{"code":"ping","ref":""}', "bad_field", "length >= 1 - at field ref"),
    "no such choice": (b'{"code":"hello","format":"xml"}', "bad_field", "Invalid enum value 'xml'"),
    "a request without its data": (b'{"request_id":1}', "bad_field", "missing required field data"),
}


def answer(line: bytes) -> Error:
    (item,) = Decoder(FROM_CLIENT).feed(line + b"\n")
    assert isinstance(item, InvalidLine)
    return item.error


@pytest.mark.parametrize("wrong", REASONS)
def test_the_answer_names_the_reason_and_says_what_is_wrong(wrong: str) -> None:
    line, reason, detail = REASONS[wrong]
    error = answer(line)
    assert error.reason == reason
    assert detail in error.detail
    assert "`" not in error.detail
    assert "$" not in error.detail


def test_the_error_for_a_long_line_says_the_limit() -> None:
    (item,) = Decoder(FROM_CLIENT, max_line=10).feed(b"12345678901\n")
    assert isinstance(item, InvalidLine)
    assert item.error.reason == "line_too_long"
    assert "10 bytes" in item.error.detail


LEVELS: Final = 200_000
"""More than the stack of any Python can take: some stop after 1,000 levels, others after 10,000."""


@pytest.mark.parametrize(
    "deep",
    [
        b"[" * LEVELS,
        b'{"code":"ping","x":' + b"[" * LEVELS + b"]" * LEVELS + b"}",
        b'{"code":"echo","content":' + b'{"a":' * LEVELS + b"1" + b"}" * (LEVELS + 1),
        b'{"code":' * LEVELS + b'"ping"' + b"}" * LEVELS,
    ],
    ids=["lists", "a skipped field", "an echo", "codes"],
)
def test_nesting_that_could_exhaust_the_stack_is_bad_json(deep: bytes) -> None:
    (item,) = Decoder(FROM_CLIENT, max_line=len(deep)).feed(deep + b"\n")
    assert isinstance(item, InvalidLine)
    assert item.error.reason == "bad_json"
    assert "too deeply" in item.error.detail


@pytest.mark.parametrize("levels", [100, 500])
def test_nesting_that_is_not_too_deep_is_allowed(levels: int) -> None:
    line = b'{"code":"ping","x":%s%s}\n' % (b"[" * levels, b"]" * levels)
    assert list(Decoder(FROM_CLIENT).feed(line)) == [Ping()]


@pytest.mark.parametrize("code", ["nope", "outgoing"])
def test_an_error_carries_the_ref_and_the_request_id_of_what_it_answers(code: str) -> None:
    error = answer(b'{"code":"%s","ref":"r1","request_id":"q1"}' % code.encode())
    assert (error.ref, error.request_id) == ("r1", "q1")


@pytest.mark.parametrize("given_id", ['""', '"a"', '"' + "é" * 256 + '"', "0", "-7", "9" * 30])
def test_a_request_id_comes_back_as_it_was_sent(given_id: str) -> None:
    for line in ('{"code":"nope","request_id":%s}', '{"request_id":%s}'):
        error = answer((line % given_id).encode())
        assert f'"request_id":{given_id}'.encode() in encode(error)


@pytest.mark.parametrize(
    "given_id", ["null", "true", "1.5", "1e999", "[]", "9" * 5_000, f'"{"x" * 257}"']
)
def test_an_invalid_request_id_is_not_repeated_and_hides_no_other_error(
    given_id: str,
) -> None:
    error = answer(b'{"code":"nope","request_id":%s,"ref":"r1"}' % given_id.encode())
    assert (error.reason, error.ref, error.request_id) == ("unknown_code", "r1", UNSET)
    error = answer(b'{"request_id":%s,"data":"Hub&&id&&1"}' % given_id.encode())
    assert (error.reason, error.request_id) == ("bad_field", UNSET)


@pytest.mark.parametrize("given_ref", ["7", "null", '""', f'"{"x" * 65}"', "{}", "1e999"])
def test_an_invalid_ref_is_not_repeated(given_ref: str) -> None:
    error = answer(b'{"code":"ping","ref":%s}' % given_ref.encode())
    assert (error.reason, error.ref) == ("bad_field", UNSET)


def test_the_error_for_bad_json_has_no_ref() -> None:
    error = answer(b'{"code":"ping","ref":"r1","request_id":1,}')
    assert (error.ref, error.request_id) == (UNSET, UNSET)


def test_a_request_needs_no_code() -> None:
    line = b'{"request_id":0,"data":"Hub&&id&&1"}\n'
    assert list(Decoder(FROM_CLIENT).feed(line)) == [BareRequest(0, "Hub&&id&&1")]
    line = b'{"code":"request","request_id":0,"data":"Hub&&id&&1"}\n'
    assert list(Decoder(FROM_CLIENT).feed(line)) == [Request(0, "Hub&&id&&1")]


def test_a_request_without_a_code_may_come_between_other_messages() -> None:
    stream = b'{"code":"ping"}\n{"request_id":"a","data":""}\n{"code":"ping"}\n'
    assert list(Decoder(FROM_CLIENT).feed(stream)) == [Ping(), BareRequest("a", ""), Ping()]


def test_each_side_understands_what_the_other_sends_and_nothing_else() -> None:
    line = b'{"code":"welcome"}'
    assert FROM_SERVER.decode(line)
    assert FROM_CLIENT.decode(line) is None
    assert FROM_SERVER.decode(b'{"request_id":1,"data":{}}') == BareResponse(1, {})


@given(garbage=st.lists(GARBAGE, max_size=4).map(b"".join))
def test_the_error_for_any_garbage_can_be_sent_as_a_line(garbage: bytes) -> None:
    if FROM_CLIENT.decode(garbage) is None:
        assert FROM_SERVER.decode(encode(FROM_CLIENT.explain(garbage))) is not None


def test_a_client_accepts_a_reason_of_a_newer_server() -> None:
    line = b'{"code":"error","reason":"out_of_coffee","detail":"wait","ref":"r1"}'
    error = FROM_SERVER.decode(line)
    assert isinstance(error, Error)
    assert str(error.reason) == "out_of_coffee"
