"""What is written is read back: every message of either side, generated from its type.

What may be asked of a feed, and how it is refused.
"""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Raw, Struct, structs

from common.messages import peer_wire
from common.messages.basic import Echo
from common.messages.feed import Block, Subscribe
from common.protocol.codec import Decoder, encode, encode_lines
from common.protocol.registry import FROM_CLIENT, FROM_SERVER, MessageRegistry
from tests.support.message_strategies import instances

KINDS = [
    pytest.param(registry, kind, id=f"{sender}-{kind.__name__}")
    for sender, registry in (
        ("client", FROM_CLIENT),
        ("server", FROM_SERVER),
        ("peer", MessageRegistry[Any](peer_wire.CONTROL_MESSAGES)),
    )
    for kind in registry.kinds
]
ANY_KIND = pytest.mark.parametrize(("registry", "kind"), KINDS)
SOME = settings(max_examples=30)


def named(message: Struct) -> dict[str, Any]:
    """Return the fields that are set, by their names on the wire."""
    fields = {field.encode_name: getattr(message, field.name) for field in structs.fields(message)}
    return {name: value for name, value in fields.items() if value is not UNSET}


@ANY_KIND
@SOME
@given(st.data())
def test_what_is_encoded_decodes_to_an_equal_message(
    registry: MessageRegistry[Any], kind: type[Struct], data: st.DataObject
) -> None:
    message = data.draw(instances(kind))
    assert list(Decoder(registry, 10**6).feed(encode(message))) == [message]


@ANY_KIND
@SOME
@given(st.data())
def test_a_message_is_one_line_of_compact_json_with_the_code_first(
    registry: MessageRegistry[Any], kind: type[Struct], data: st.DataObject
) -> None:
    message = data.draw(instances(kind))
    line = encode(message)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    code = kind.__struct_config__.tag
    if code is not None:
        assert line.startswith(b'{"code":"%s"' % str(code).encode())
    if not isinstance(message, Echo):
        assert not re.search(rb"\s", re.sub(rb'"(?:[^"\\]|\\.)*"', b'""', line[:-1]))


@ANY_KIND
@SOME
@given(st.data())
def test_a_field_that_is_not_set_is_not_written(
    registry: MessageRegistry[Any], kind: type[Struct], data: st.DataObject
) -> None:
    message = data.draw(instances(kind))
    code = {"code"} if kind.__struct_config__.tag else set()
    assert json.loads(encode(message)).keys() == named(message).keys() | code


@given(st.lists(st.one_of(*map(instances, FROM_CLIENT.kinds)), max_size=5))
def test_messages_encoded_together_are_the_lines_of_each(messages: list[Struct]) -> None:
    assert encode_lines(messages) == b"".join(map(encode, messages))


@given(st.lists(st.one_of(*map(instances, FROM_CLIENT.kinds)), max_size=5))
def test_messages_need_no_newline_between_them(messages: list[Struct]) -> None:
    stream = b"".join(encode(message)[:-1] for message in messages)
    assert list(Decoder(FROM_CLIENT, 10**6).feed(stream)) == messages


@pytest.mark.parametrize(
    "content",
    [
        b"1e999",
        b"-0",
        b"1" * 5_000,
        b'"\\u0000"',
        b'"\\ud83d\\ude00"',
        b'{"a":1,"a":2}',
        b"[[[[1]]]]",
    ],
)
def test_an_echo_comes_back_byte_for_byte_whatever_the_value(content: bytes) -> None:
    line = b'{"code":"echo","content":%s}\n' % content
    (message,) = Decoder(FROM_CLIENT).feed(line)
    assert message == Echo(Raw(content))
    assert encode(message) == line


@pytest.mark.parametrize("registry", [FROM_CLIENT, FROM_SERVER], ids=["client", "server"])
def test_every_code_is_written_in_snake_case_and_is_one_kinds_alone(
    registry: MessageRegistry[Any],
) -> None:
    codes = [kind.__struct_config__.tag for kind in registry.kinds]
    tagged = [str(code) for code in codes if code is not None]
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in tagged)
    assert len(set(codes)) == len(codes)


def refused(line: str) -> str:
    """Return what is said about a line that is no message."""
    assert FROM_CLIENT.decode(line.encode()) is None
    error = FROM_CLIENT.explain(line.encode())
    assert error.reason == "bad_field"
    return error.detail


def test_the_default_feed_has_both_topics_every_second() -> None:
    assert FROM_CLIENT.decode(b'{"code":"subscribe"}') == Subscribe(("user", "array"), 1_000)


@pytest.mark.parametrize("interval_ms", [0, 1, 3_600_000])
def test_an_interval_may_be_0_to_an_hour(interval_ms: int) -> None:
    line = f'{{"code":"subscribe","interval_ms":{interval_ms}}}'
    assert FROM_CLIENT.decode(line.encode()) == Subscribe(interval_ms=interval_ms)


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ('"interval_ms":-1', "in subscribe: Expected int >= 0 - at field interval_ms"),
        ('"interval_ms":3600001', "in subscribe: Expected int <= 3600000 - at field interval_ms"),
        ('"topics":[]', "in subscribe: Expected array of length >= 1 - at field topics"),
        ('"topics":["cat"]', "in subscribe: Invalid enum value 'cat' - at field topics[0]"),
        ('"topics":["user","user"]', "in subscribe: a topic is named twice; name each once"),
        ('"size":0', "in subscribe: Expected int >= 1 - at field size"),
        ('"size":1001', "in subscribe: Expected int <= 1000 - at field size"),
        ('"low":5,"high":4', "in subscribe: low is 5 and high is 4; swap them"),
        ('"high":9007199254740992', "in subscribe: Expected int <= 9007199254740991"),
    ],
)
def test_an_invalid_subscription_is_refused_with_its_reason(fields: str, detail: str) -> None:
    assert refused(f'{{"code":"subscribe",{fields}}}').startswith(detail)


@pytest.mark.parametrize("fields", ['"count":0,"seconds":1', '"count":1,"seconds":-1', '"count":1'])
def test_a_block_counts_at_least_one_message_and_takes_no_negative_time(fields: str) -> None:
    assert refused(f'{{"code":"block",{fields}}}').startswith("in block: ")


def test_a_block_of_any_count_is_taken() -> None:
    line = b'{"code":"block","count":7,"seconds":0.25,"interrupted":true}'
    assert FROM_CLIENT.decode(line) == Block(7, 0.25, interrupted=True)
