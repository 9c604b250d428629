"""What may be asked of a feed, and how it is refused."""

import pytest

from common.catalogue import FROM_CLIENT
from common.messages.feed import Block, Subscribe


def refused(line: str) -> str:
    """Return what is said about a line that is no message."""
    assert FROM_CLIENT.decode(line.encode()) is None
    error = FROM_CLIENT.explain(line.encode())
    assert error.reason == "bad_field"
    return error.detail


def test_a_bare_subscribe_asks_for_both_topics_every_second() -> None:
    assert FROM_CLIENT.decode(b'{"code":"subscribe"}') == Subscribe(("user", "array"), 1_000)


@pytest.mark.parametrize("interval_ms", [0, 1, 3_600_000])
def test_an_interval_may_be_nothing_up_to_an_hour(interval_ms: int) -> None:
    line = f'{{"code":"subscribe","interval_ms":{interval_ms}}}'
    assert FROM_CLIENT.decode(line.encode()) == Subscribe(interval_ms=interval_ms)


@pytest.mark.parametrize(
    ("wish", "detail"),
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
def test_what_a_feed_cannot_be_is_named_with_what_it_can(wish: str, detail: str) -> None:
    assert refused(f'{{"code":"subscribe",{wish}}}').startswith(detail)


@pytest.mark.parametrize("fields", ['"count":0,"seconds":1', '"count":1,"seconds":-1', '"count":1'])
def test_a_block_counts_at_least_one_message_and_takes_no_negative_time(fields: str) -> None:
    assert refused(f'{{"code":"block",{fields}}}').startswith("in block: ")


def test_a_block_of_any_count_is_taken() -> None:
    line = b'{"code":"block","count":7,"seconds":0.25,"interrupted":true}'
    assert FROM_CLIENT.decode(line) == Block(7, 0.25, interrupted=True)
