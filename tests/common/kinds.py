"""Messages made from their types: whatever a field may hold, generated."""

from functools import cache, singledispatch
from typing import Any, Final

import msgspec
from hypothesis import reject
from hypothesis import strategies as st
from msgspec import UNSET, Struct, UnsetType, inspect, structs

from tests.common.streams import JSON

MOST: Final = 2**63 - 1


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
    low = -MOST if described.ge is None else described.ge
    return st.integers(low, MOST if described.le is None else described.le)


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
