"""Requests on a clock that a test moves: no sockets, no loop."""

import logging
from random import Random
from typing import Final

import pytest

from chatd.core.session import Access
from common.messages.request import BareRequest, Request
from tests.support.request_harness import DELAY, SEED, FakeRequester, RequestHarness

HUB: Final = "Hub&&name&&qwe&&id&&123&&%%Device&&name&&wqe&&id&&234&&"
LEGACY: Final = (
    '{"request_id":"01","data":'
    '{"Hub":{"name":"qwe","id":"123"},"Device":{"name":"wqe","id":"234"}}}'
)


@pytest.fixture
def harness() -> RequestHarness:
    return RequestHarness()


@pytest.fixture
def ann(harness: RequestHarness) -> FakeRequester:
    return FakeRequester(harness)


def test_the_example_of_the_specification_gets_exactly_its_answer(
    harness: RequestHarness, ann: FakeRequester
) -> None:
    ann.send(f'{{"request_id":"01","data":"{HUB}"}}')
    harness.time.advance(5.0)
    assert ann.lines() == [LEGACY]


def test_a_request_with_a_code_gets_an_answer_with_one(
    harness: RequestHarness, ann: FakeRequester
) -> None:
    ann.send(f'{{"code":"request","request_id":"01","data":"{HUB}"}}')
    harness.time.advance(5.0)
    assert ann.lines() == ['{"code":"response",' + LEGACY[1:]]


@pytest.mark.parametrize("request_id", [7, "7", "", "ünï", -(2**63), 2**64 - 1, "x" * 256])
def test_an_id_comes_back_as_it_was_sent(
    harness: RequestHarness, ann: FakeRequester, request_id: str | int
) -> None:
    ann.ask(request_id)
    harness.time.advance(5.0)
    (answer,) = ann.received()
    assert answer == {"request_id": request_id, "data": {"a": {"b": "c"}}}
    assert type(answer["request_id"]) is type(request_id)


def test_the_number_7_and_the_string_7_are_two_ids(
    harness: RequestHarness, ann: FakeRequester
) -> None:
    ann.ask(7)
    ann.ask("7")
    harness.time.advance(5.0)
    assert set(ann.received_ids()) == {7, "7"}


def test_each_request_waits_for_a_draw_of_its_own(
    harness: RequestHarness, ann: FakeRequester
) -> None:
    began = harness.time.now
    draw = Random(SEED)
    due = {number: draw.uniform(*DELAY) for number in range(200)}
    for number in due:
        ann.ask(number)
    answered: dict[int, float] = {}
    while len(answered) < len(due):
        harness.time.advance(0.001)
        for request_id in ann.received_ids():
            answered[int(request_id)] = harness.time.now - began
    for number, delay in due.items():
        assert delay - 1e-9 <= answered[number] <= delay + 0.0031
    assert sorted(due, key=lambda number: due[number]) != list(due), "they change places"


def test_the_delays_spread_over_the_whole_range(
    ann: FakeRequester, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        for number in range(1_000):
            ann.ask(number)
    seconds = [float(record.getMessage().split()[1]) for record in caplog.records]
    assert (min(seconds), max(seconds)) == (1.0, 5.0)
    assert 2.8 < sum(seconds) / len(seconds) < 3.2


def test_the_log_says_how_long_each_waits(
    ann: FakeRequester, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        ann.ask("01")
    delay = Random(SEED).uniform(*DELAY)
    assert caplog.messages == [f"Timeout {delay:.1f} seconds for this one."]


def test_without_a_delay_the_answer_comes_at_once_and_nothing_is_pending() -> None:
    harness = RequestHarness(delay=(0.0, 0.0))
    ann = FakeRequester(harness)
    for _ in range(2):  # the same id again: it is pending no more
        ann.ask("01")
        assert ann.received_ids() == ["01"]
    assert len(harness.wheel) == ann.session.pending_replies.count == 0


def test_an_id_that_is_pending_is_refused_and_its_first_request_answered(
    harness: RequestHarness, ann: FakeRequester
) -> None:
    ann.ask("01", "first&&a&&b")
    ann.ask("01", "second&&a&&b")
    (error,) = ann.received()
    assert (error["reason"], error["request_id"]) == ("duplicate_request", "01")
    harness.time.advance(5.0)
    assert ann.received() == [{"request_id": "01", "data": {"first": {"a": "b"}}}]


def test_an_id_that_was_answered_may_be_used_again(
    harness: RequestHarness, ann: FakeRequester
) -> None:
    for _ in range(2):
        ann.ask("01")
        harness.time.advance(5.0)
        assert ann.received_ids() == ["01"]


def test_the_same_id_on_two_connections_is_two_requests(
    harness: RequestHarness, ann: FakeRequester
) -> None:
    bob = FakeRequester(harness)
    ann.ask("01", "ann&&a&&b")
    bob.ask("01", "bob&&a&&b")
    harness.time.advance(5.0)
    assert [list(answer["data"]) for answer in ann.received() + bob.received()] == [
        ["ann"],
        ["bob"],
    ]


def test_more_requests_than_may_be_pending_are_refused_until_one_is_answered() -> None:
    harness = RequestHarness(max_pending=2)
    ann, bob = FakeRequester(harness), FakeRequester(harness)
    for number in (1, 2, 3):
        ann.ask(number)
    (error,) = ann.received()
    assert (error["reason"], error["request_id"]) == ("too_many_requests", 3)
    bob.ask(1)
    assert bob.received() == [], "the limit is each connection's own"
    harness.time.advance(5.0)
    assert sorted(ann.received_ids(), key=str) == [1, 2]
    ann.ask(3)
    harness.time.advance(5.0)
    assert ann.received_ids() == [3]


def test_answers_of_more_bytes_than_may_be_pending_are_refused_until_one_is_sent() -> None:
    harness = RequestHarness(max_bytes=1_000)
    ann = FakeRequester(harness)
    ann.ask(1, f"a&&b&&{'c' * 600}")
    ann.ask(2, f"a&&b&&{'c' * 600}")
    ann.ask(3, "a&&b&&c")
    (error,) = ann.received()
    assert (error["reason"], error["request_id"]) == ("too_many_requests", 2)
    harness.time.advance(5.0)
    assert set(ann.received_ids()) == {1, 3}
    ann.ask(2, f"a&&b&&{'c' * 600}")
    harness.time.advance(5.0)
    assert ann.received_ids() == [2]


def test_what_is_pending_keeps_a_connection_open_and_what_was_answered_does_not(
    harness: RequestHarness, ann: FakeRequester
) -> None:
    for number in range(10):
        ann.ask(number)
    received: list[str | int] = []
    while ann.session.pending_replies.count:
        assert len(received) < 10
        harness.time.advance(0.001)
        received += ann.received_ids()
    assert len(received) == 10
    assert len(harness.wheel) == 0


def test_answers_that_are_due_together_go_out_together_in_the_order_of_their_requests() -> None:
    harness = RequestHarness(delay=(1.0, 1.0))
    ann, bob = FakeRequester(harness), FakeRequester(harness)
    for number in range(100):
        ann.ask(number)
        bob.ask(-number)
    assert len(harness.wheel) == 1
    harness.time.advance(1.002)
    assert ann.received_ids() == list(range(100))
    assert bob.received_ids() == [-number for number in range(100)]


def test_of_answers_that_are_due_together_a_disconnect_cancels_its_own() -> None:
    harness = RequestHarness(delay=(1.0, 1.0))
    ann, bob = FakeRequester(harness), FakeRequester(harness)
    for number in range(3):
        ann.ask(number)
        bob.ask(number)
    ann.leave()
    harness.time.advance(1.002)
    assert ann.received() == []
    assert bob.received_ids() == [0, 1, 2]


def test_a_moment_that_a_disconnect_left_empty_takes_requests_again() -> None:
    harness = RequestHarness(delay=(1.0, 1.0))
    ann, bob = FakeRequester(harness), FakeRequester(harness)
    ann.ask("01")
    ann.leave()
    assert len(harness.wheel) == 0
    bob.ask("01")
    harness.time.advance(1.002)
    assert ann.received() == []
    assert bob.received_ids() == ["01"]


def test_a_disconnect_cancels_what_is_pending_for_it_alone(
    harness: RequestHarness, ann: FakeRequester
) -> None:
    bob = FakeRequester(harness)
    for number in range(1_000):
        ann.ask(number)
    bob.ask("bob")
    ann.leave()
    assert len(harness.wheel) == 1
    assert ann.session.pending_replies.count == 0
    harness.time.advance(5.0)
    assert ann.received() == []
    assert bob.received_ids() == ["bob"]
    assert not harness.time.timers


def test_a_disconnect_with_nothing_pending_is_nothing_special(
    harness: RequestHarness, ann: FakeRequester
) -> None:
    ann.leave()
    bob = FakeRequester(harness)
    bob.ask("01")
    harness.time.advance(5.0)
    bob.leave()
    assert bob.received_ids() == ["01"]
    assert bob.session.pending_replies.count == 0


def test_a_refused_request_draws_no_delay_and_leaves_nothing_behind() -> None:
    harness = RequestHarness(max_pending=1)
    ann = FakeRequester(harness)
    for number in range(100):
        ann.ask(number)
    assert ann.session.pending_replies.count == len(harness.wheel) == 1


def test_it_serves_requests_with_a_code_and_without(harness: RequestHarness) -> None:
    assert {row.kind for row in harness.requests.routes} == {Request, BareRequest}
    assert all(row.requires is Access.ANYONE for row in harness.requests.routes)
