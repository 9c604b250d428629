import json
import re
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from common.entities import Entities, Entity, format_entities, parse_entities

LONGEST: Final = 65_536
SPECIFIED: Final = "Hub&&name&&qwe&&id&&123&&%%Device&&name&&wqe&&id&&234&&"

READINGS: Final[dict[str, tuple[str, Entities]]] = {
    "the example of the specification": (
        SPECIFIED,
        {"Hub": {"name": "qwe", "id": "123"}, "Device": {"name": "wqe", "id": "234"}},
    ),
    "three pairs": ("Hub&&a&&1&&b&&2&&c&&3&&", {"Hub": {"a": "1", "b": "2", "c": "3"}}),
    "one pair without the last &&": ("Hub&&id&&1", {"Hub": {"id": "1"}}),
    "two pairs without the last &&": ("Hub&&id&&1&&at&&2", {"Hub": {"id": "1", "at": "2"}}),
    "%% before and after all": ("%%Hub&&id&&1&&%%", {"Hub": {"id": "1"}}),
    "more &&s after the last pair": ("Hub&&id&&1&&&&&&", {"Hub": {"id": "1"}}),
    "nothing at all": ("", {}),
    "only separators": ("&&%%&&&&%%%%&&", {}),
    "an empty name drops its entity": ("&&id&&1&&at&&2&&%%Hub&&id&&2", {"Hub": {"id": "2"}}),
    "an empty key drops its pair alone": ("Hub&&&&1&&at&&2&&", {"Hub": {"at": "2"}}),
    "an empty second key drops its pair alone": ("Hub&&id&&1&&&&2&&", {"Hub": {"id": "1"}}),
    "an empty value drops its pair alone": ("Hub&&id&&&&at&&2&&", {"Hub": {"at": "2"}}),
    "an empty second value drops its pair alone": ("Hub&&id&&1&&at&&&&", {"Hub": {"id": "1"}}),
    "an empty pair keeps the rest in place": ("Hub&&&&&&at&&2&&", {"Hub": {"at": "2"}}),
    "a last key without a value is dropped": ("Hub&&id&&1&&at", {"Hub": {"id": "1"}}),
    "two pairs and a last key": ("A&&id&&1&&at&&2&&on", {"A": {"id": "1", "at": "2"}}),
    "a name alone is dropped": ("Hub%%Device&&id&&1", {"Device": {"id": "1"}}),
    "an entity without a whole pair is dropped": ("Hub&&id&&&&&&1%%B&&id&&1", {"B": {"id": "1"}}),
    "a name that occurs twice": ("A&&id&&1&&%%A&&id&&2&&", {"A": [{"id": "1"}, {"id": "2"}]}),
    "a name that occurs three times, not in a row": (
        "Hub&&id&&1%%B&&id&&2%%Hub&&id&&3%%Hub&&id&&1",
        {"Hub": [{"id": "1"}, {"id": "3"}, {"id": "1"}], "B": {"id": "2"}},
    ),
    "a name whose others were dropped is no list": ("A&&b&&%%A&&b&&2%%A", {"A": {"b": "2"}}),
    "a key that occurs twice": ("Hub&&id&&1&&id&&2&&", {"Hub": {"id": ["1", "2"]}}),
    "a key that occurs twice with one value": ("Hub&&id&&1&&id&&1&&", {"Hub": {"id": ["1", "1"]}}),
    "a key that occurs three times, not in a row": (
        "Hub&&id&&1&&at&&2&&id&&3&&id&&4",
        {"Hub": {"id": ["1", "3", "4"], "at": "2"}},
    ),
    "a key whose other pair was dropped is no list": ("Hub&&id&&&&id&&2&&", {"Hub": {"id": "2"}}),
    "a key in two entities is no list": ("A&&b&&1%%B&&b&&2", {"A": {"b": "1"}, "B": {"b": "2"}}),
    "names, keys and values are apart": ("id&&id&&id&&", {"id": {"id": "id"}}),
    "white space is kept": (" Hub\t&& id &&\r\n&&", {" Hub\t": {" id ": "\r\n"}}),
    "any script is kept": ("Ünïт&&ключ&&値🙂&&", {"Ünïт": {"ключ": "値🙂"}}),
    "a lone & or % is a character": ("R&D&&50%&&a&b%c&&", {"R&D": {"50%": "a&b%c"}}),
    "&& and %% do not mix": ("A&&%&&&%%&B&&a&%&&b", {"A": {"%": "&"}, "&B": {"a&%": "b"}}),
    "of &&& the first two separate": ("Hub&&&id&&&1&&", {"Hub": {"&id": "&1"}}),
    "of &&& at the end the third is a key": ("Hub&&id&&1&&&", {"Hub": {"id": "1"}}),
    "of &&& after a key the third is a value": ("Hub&&id&&&", {"Hub": {"id": "&"}}),
    "&&&& is an empty field": ("Hub&&id&&&&1&&2", {"Hub": {"1": "2"}}),
    "a last & is a character": ("Hub&&id&&1&%%B&&id&&2&", {"Hub": {"id": "1&"}, "B": {"id": "2&"}}),
    "of %%% the first two separate": ("A&&b&&c%%%D&&e&&f", {"A": {"b": "c"}, "%D": {"e": "f"}}),
    "of &&%%% the last is in the name": ("A&&b&&%%%D&&e&&f", {"%D": {"e": "f"}}),
    "a last % is a character": ("A&&b&&c%&&%%D%&&e&&f%", {"A": {"b": "c%"}, "D%": {"e": "f%"}}),
}

NORMAL_FORMS: Final[dict[str, tuple[Entities, str]]] = {
    "nothing": ({}, ""),
    "the example of the specification": (parse_entities(SPECIFIED), SPECIFIED),
    "occurrences of a name stand together": (
        {"Hub": [{"id": "1"}, {"id": "3"}], "B": {"id": "2"}},
        "Hub&&id&&1&&%%Hub&&id&&3&&%%B&&id&&2&&",
    ),
    "occurrences of a key stand together": (
        {"Hub": {"id": ["1", "3"], "at": "2"}},
        "Hub&&id&&1&&id&&3&&at&&2&&",
    ),
    "a value that ends with & ends its entity": (
        {"Hub": {"at": "2", "id": "1&"}, "B": {"id": "&"}},
        "Hub&&at&&2&&id&&1&%%B&&id&&&",
    ),
    "a list that ends with & ends its entity": (
        {"Hub": {"id": ["1", "3&"], "at": "2"}},
        "Hub&&id&&1&&at&&2&&id&&3&",
    ),
    "% at an end is kept from the separator": (
        {"%A%": {"%b%": "%c%"}, "%": {"%": "%"}},
        "%A%&&%b%&&%c%&&%%%&&%&&%&&",
    ),
    "& may begin any field": ({"&A": {"&b": "&c"}}, "&A&&&b&&&c&&"),
}

REFUSED: Final[dict[str, tuple[Entities, str]]] = {
    "an empty name": ({"": {"id": "1"}}, "entity name '' is empty"),
    "an empty key": ({"Hub": {"": "1"}}, "key '' of 'Hub' is empty"),
    "an empty value": ({"Hub": {"id": ""}}, "value '' of 'id' in 'Hub' is empty"),
    "an empty value in a list": ({"Hub": {"id": ["1", ""]}}, "value '' of 'id' in 'Hub' is empty"),
    "an entity without pairs": ({"Hub": {}}, "entity 'Hub' has no pairs"),
    "an entity without pairs in a list": ({"Hub": [{"a": "b"}, {}]}, "entity 'Hub' has no pairs"),
    "a list of no entities": ({"Hub": []}, "entity 'Hub' has a list of 0"),
    "a list of one entity": ({"Hub": [{"id": "1"}]}, "entity 'Hub' has a list of 1"),
    "a list of no values": ({"Hub": {"id": []}}, "key 'id' of 'Hub' has a list of 0"),
    "a list of one value": ({"Hub": {"id": ["1"]}}, "key 'id' of 'Hub' has a list of 1"),
    "&& in a name": ({"H&&b": {"id": "1"}}, "name 'H&&b' contains '&&'"),
    "&& in a key": ({"Hub": {"i&&d": "1"}}, "key 'i&&d' of 'Hub' contains '&&'"),
    "&& in a value": ({"Hub": {"id": "&&"}}, "value '&&' of 'id' in 'Hub' contains '&&'"),
    "%% in a name": ({"%%Hub": {"id": "1"}}, "name '%%Hub' contains '%%'"),
    "%% in a key": ({"Hub": {"id%%": "1"}}, "key 'id%%' of 'Hub' contains '%%'"),
    "%% in a value": ({"Hub": {"id": "1%%2"}}, "value '1%%2' of 'id' in 'Hub' contains '%%'"),
    "& at the end of a name": ({"Hub&": {"id": "1"}}, "'Hub&' in the entity 'Hub&' ends with '&'"),
    "& at the end of a key": ({"Hub": {"id&": "1"}}, "'id&' in the entity 'Hub' ends with '&'"),
    "& at the end of an inner value": ({"A": {"b": "1&", "c": "2"}}, "'1&' in the entity 'A' ends"),
    "& at the end inside a list": ({"A": {"b": ["1&", "2"]}}, "'1&' in the entity 'A' ends with"),
    "& at the end twice": ({"A": {"b": ["1", "2&"], "c": "3&"}}, "'3&' in the entity 'A' ends"),
}


def named(cases: dict[str, tuple[Any, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("source", "expected"), cases.values(), ids=cases.keys())


def in_order(entities: Entities) -> str:
    """Dicts are equal in any order; their JSON is not."""
    return json.dumps(entities)


@named(READINGS)
def test_a_text_parses_to(source: str, expected: Entities) -> None:
    assert in_order(parse_entities(source)) == in_order(expected)


@named(NORMAL_FORMS)
def test_the_normal_form_of(source: Entities, expected: str) -> None:
    assert format_entities(source) == expected
    assert in_order(parse_entities(expected)) == in_order(source)


@named(REFUSED)
def test_the_formatter_refuses(source: Entities, expected: str) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)):
        format_entities(source)


# Few letters and many separators, so that names and keys meet and delimiters touch.
PLAIN: Final = ("a", "b", " ", "é", "&a", "a&b", "%", "%a", "b%", "&%")
plain_fields = st.sampled_from(PLAIN)
any_fields = st.sampled_from((*PLAIN * 4, "a&", "&", "%&", "", "a&&b"))
texts = st.text("&%a", max_size=20) | st.lists(
    st.tuples(
        st.sampled_from(("a", "a", "a", "b", "b", "&", "%", "a&", "%b", "")),
        st.sampled_from(("&&", "&&", "&&", "&&", "%%")),
    ).map("".join),
    max_size=30,
).map("".join)


def entities_of(field: st.SearchStrategy[str]) -> st.SearchStrategy[Entities]:
    values = field | st.lists(field, min_size=2, max_size=3)
    entity = st.dictionaries(field, values, min_size=1, max_size=3)
    return st.dictionaries(field, entity | st.lists(entity, min_size=2, max_size=3), max_size=2)


def scan(text: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Read `text` a character at a time into what the grammar keeps, before anything is merged."""
    entities = [[""]]
    at = 0
    while at < len(text):
        if text.startswith("%%", at):
            entities.append([""])
            at += 2
        elif text.startswith("&&", at):
            entities[-1].append("")
            at += 2
        else:
            entities[-1][-1] += text[at]
            at += 1
    kept = []
    for name, *rest in entities:
        pairs = [(rest[i], rest[i + 1]) for i in range(0, len(rest) - 1, 2)]
        whole = [(key, value) for key, value in pairs if key and value]
        if name and whole:
            kept.append((name, whole))
    return kept


def listed(found: Any) -> list[Any]:
    return found if isinstance(found, list) else [found]


@given(texts)
@example(SPECIFIED)
def test_every_whole_pair_of_a_named_entity_is_kept_once_and_in_order(text: str) -> None:
    kept: dict[str, list[dict[str, list[str]]]] = {}
    for name, pairs in scan(text):
        entity: dict[str, list[str]] = {}
        for key, value in pairs:
            entity.setdefault(key, []).append(value)
        kept.setdefault(name, []).append(entity)

    read = {
        name: [{key: listed(value) for key, value in entity.items()} for entity in listed(found)]
        for name, found in parse_entities(text).items()
    }

    assert json.dumps(read) == json.dumps(kept)


@given(texts)
def test_nothing_in_a_result_is_empty_and_no_list_has_fewer_than_two(text: str) -> None:
    for name, found in parse_entities(text).items():
        assert name
        assert not isinstance(found, list) or len(found) >= 2
        for entity in listed(found):
            assert entity
            for key, value in entity.items():
                assert key
                assert all(listed(value))
                assert isinstance(value, str) or len(value) >= 2


@given(entities_of(plain_fields))
def test_plain_entities_come_back_as_they_were(entities: Entities) -> None:
    assert in_order(parse_entities(format_entities(entities))) == in_order(entities)


@given(entities_of(any_fields))
@example({"a": {"a": ["a", "a&"], "b": "b"}})
def test_entities_come_back_as_they_were_or_are_refused(entities: Entities) -> None:
    try:
        text = format_entities(entities)
    except ValueError:
        return
    assert in_order(parse_entities(text)) == in_order(entities)


@given(texts)
@example("a&&b&&c&&d&&e&&b&&f&")
def test_what_was_parsed_can_be_formatted_and_parses_the_same(text: str) -> None:
    entities = parse_entities(text)
    assert in_order(parse_entities(format_entities(entities))) == in_order(entities)


@given(texts)
def test_the_normal_form_is_its_own_normal_form(text: str) -> None:
    normal = format_entities(parse_entities(text))
    assert format_entities(parse_entities(normal)) == normal


def test_the_entities_given_to_the_formatter_are_left_alone() -> None:
    entity: Entity = {"id": ["1", "3&"], "at": "2"}
    format_entities({"Hub": entity})
    assert entity == {"id": ["1", "3&"], "at": "2"}


def steps(text: str) -> int:
    """Return how many bytecode instructions it takes to parse `text`: work that no clock counts."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Callable[..., Any]:
        nonlocal count
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    outer = sys.gettrace()
    # `settrace` of Python 3.12 asks for opcodes only after some frame has asked for them, and 3.13
    # reports them only from the second call of a function on.
    sys._getframe().f_trace_opcodes = True
    sys.settrace(trace)
    try:
        parse_entities(text[:1_000])
        count = 0
        parse_entities(text)
    finally:
        sys.settrace(outer)
    return count


def filled(unit: str, size: int) -> str:
    return (unit * (size // len(unit) + 1))[:size]


SEPARATORS_ONLY: Final = ("%%", "&&", "%", "&", "&&%%", "%%&&", "&&&%%%", "&&&&%%")
DENSE: Final = "a&&b&&c%%"


@pytest.mark.parametrize("unit", [*SEPARATORS_ONLY, "a&&", "a%%", "a&&%%", DENSE, SPECIFIED + "%%"])
def test_twice_the_text_takes_at_most_twice_the_steps(unit: str) -> None:
    once = steps(filled(unit, LONGEST // 8))
    twice = steps(filled(unit, LONGEST // 4))
    assert 0 < twice <= 2.1 * once


@pytest.mark.parametrize("unit", SEPARATORS_ONLY)
def test_the_longest_line_of_separators_takes_hardly_more_steps_than_entities(unit: str) -> None:
    # Each Python compiles to other instructions: under 3.13 it is 1 % more.
    assert 0 < steps(filled(unit, LONGEST)) <= 1.1 * steps(filled(DENSE, LONGEST))


def test_many_distinct_names_and_keys_take_steps_in_proportion() -> None:
    def distinct(count: int) -> str:
        return "%%".join(f"name{i:05}&&key{i:05}&&1&&key{i + 1:05}&&2&&" for i in range(count))

    assert steps(distinct(1000)) <= 2.1 * steps(distinct(500))
