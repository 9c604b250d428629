"""Hypothesis strategies: messages made from their types, and byte streams cut into chunks.

Streams are what a client may send, valid and invalid, as the network may cut it.
"""

import json
from collections.abc import Iterator
from functools import cache, singledispatch
from typing import Any, Final

import msgspec
from hypothesis import reject
from hypothesis import strategies as st
from msgspec import UNSET, Struct, UnsetType, inspect, structs

LIMIT: Final = 64
"""A maximum length of a line, in bytes, that streams often reach."""

_MAX_INT: Final = 2**63 - 1

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


@cache
def instances(kind: type[Struct]) -> st.SearchStrategy[Any]:
    """Return a strategy for messages of `kind`, every field optional where its type says so."""
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    fields = {field.name: values(field.type) for field in described.fields}
    # That a field may be unset is not in the description.
    for field in structs.fields(kind):
        if field.default is UNSET:
            fields[field.name] |= st.just(UNSET)

    def build(**drawn: Any) -> Struct:
        try:
            return kind(**drawn)
        except ValueError:  # what each field may hold is not always allowed together
            reject()

    return st.builds(build, **fields)


@singledispatch
def values(described: inspect.Type) -> st.SearchStrategy[Any]:
    """Return a strategy for values of a type that msgspec describes."""
    raise NotImplementedError(described)


@values.register
def _(described: inspect.StructType) -> st.SearchStrategy[Any]:
    return instances(described.cls)


@values.register
def _(described: inspect.UnionType) -> st.SearchStrategy[Any]:
    return st.one_of(*map(values, described.types))


@values.register
def _(described: inspect.StrType) -> st.SearchStrategy[str]:
    return st.text(min_size=described.min_length or 0, max_size=described.max_length or 40)


@values.register
def _(described: inspect.IntType) -> st.SearchStrategy[int]:
    low = -_MAX_INT if described.ge is None else described.ge
    return st.integers(low, _MAX_INT if described.le is None else described.le)


@values.register
def _(described: inspect.FloatType) -> st.SearchStrategy[float]:
    return st.floats(described.ge, described.le, allow_nan=False, allow_infinity=False)


@values.register
def _(_: inspect.BoolType) -> st.SearchStrategy[bool]:
    return st.booleans()


@values.register
def _(described: inspect.LiteralType) -> st.SearchStrategy[Any]:
    return st.sampled_from(described.values)


@values.register
def _(described: inspect.ListType) -> st.SearchStrategy[list[Any]]:
    return st.lists(values(described.item_type), max_size=3)


@values.register
def _(described: inspect.VarTupleType) -> st.SearchStrategy[tuple[Any, ...]]:
    items = values(described.item_type)
    return st.lists(items, min_size=described.min_length or 0, max_size=3).map(tuple)


@values.register
def _(described: inspect.DictType) -> st.SearchStrategy[dict[Any, Any]]:
    return st.dictionaries(values(described.key_type), values(described.value_type), max_size=3)


@values.register
def _(described: inspect.CustomType) -> st.SearchStrategy[Any]:
    assert described.cls is UnsetType
    return st.just(UNSET)


@values.register
def _(_: inspect.RawType) -> st.SearchStrategy[msgspec.Raw]:
    return JSON.map(msgspec.Raw)
