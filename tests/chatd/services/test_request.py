"""Requests on a clock that a test moves: no sockets, no loop."""

import logging
from random import Random
from typing import Final

import pytest

from common.messages.request import BareRequest, Request
from tests.chatd.requesting import DELAY, SEED, House, Visitor

HUB: Final = "Hub&&name&&qwe&&id&&123&&%%Device&&name&&wqe&&id&&234&&"
LEGACY: Final = (
    '{"request_id":"01","data":'
    '{"Hub":{"name":"qwe","id":"123"},"Device":{"name":"wqe","id":"234"}}}'
)


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def ann(house: House) -> Visitor:
    return Visitor(house)


def test_the_example_of_the_specification_gets_exactly_its_answer(
    house: House, ann: Visitor
) -> None:
    ann.say(f'{{"request_id":"01","data":"{HUB}"}}')
    house.time.advance(5.0)
    assert ann.lines() == [LEGACY]


def test_a_request_with_a_code_gets_an_answer_with_one(house: House, ann: Visitor) -> None:
    ann.say(f'{{"code":"request","request_id":"01","data":"{HUB}"}}')
    house.time.advance(5.0)
    assert ann.lines() == ['{"code":"response",' + LEGACY[1:]]


@pytest.mark.parametrize("request_id", [7, "7", "", "ünï", -(2**63), 2**64 - 1, "x" * 256])
def test_an_id_comes_back_as_it_was_sent(house: House, ann: Visitor, request_id: str | int) -> None:
    ann.ask(request_id)
    house.time.advance(5.0)
    (answer,) = ann.heard()
    assert answer == {"request_id": request_id, "data": {"a": {"b": "c"}}}
    assert type(answer["request_id"]) is type(request_id)


def test_the_number_7_and_the_string_7_are_two_ids(house: House, ann: Visitor) -> None:
    ann.ask(7)
    ann.ask("7")
    house.time.advance(5.0)
    assert set(ann.heard_ids()) == {7, "7"}


def test_each_request_waits_for_a_draw_of_its_own(house: House, ann: Visitor) -> None:
    began = house.time.now
    draw = Random(SEED)
    due = {number: draw.uniform(*DELAY) for number in range(200)}
    for number in due:
        ann.ask(number)
    answered: dict[int, float] = {}
    while len(answered) < len(due):
        house.time.advance(0.001)
        for request_id in ann.heard_ids():
            answered[int(request_id)] = house.time.now - began
    for number, delay in due.items():
        assert delay - 1e-9 <= answered[number] <= delay + 0.0031
    assert sorted(due, key=lambda number: due[number]) != list(due), "they change places"


def test_the_delays_spread_over_the_whole_range(
    ann: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        for number in range(1_000):
            ann.ask(number)
    seconds = [float(record.getMessage().split()[1]) for record in caplog.records]
    assert (min(seconds), max(seconds)) == (1.0, 5.0)
    assert 2.8 < sum(seconds) / len(seconds) < 3.2


def test_the_log_says_how_long_each_waits(ann: Visitor, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        ann.ask("01")
    delay = Random(SEED).uniform(*DELAY)
    assert caplog.messages == [f"Timeout {delay:.1f} seconds for this one."]


def test_without_a_delay_the_answer_comes_at_once_and_nothing_is_pending() -> None:
    house = House(delay=(0.0, 0.0))
    ann = Visitor(house)
    for _ in range(2):  # the same id again: it is pending no more
        ann.ask("01")
        assert ann.heard_ids() == ["01"]
    assert len(house.wheel) == ann.session.pending_replies.count == 0


def test_an_id_that_is_pending_is_refused_and_its_first_request_answered(
    house: House, ann: Visitor
) -> None:
    ann.ask("01", "first&&a&&b")
    ann.ask("01", "second&&a&&b")
    (error,) = ann.heard()
    assert (error["reason"], error["request_id"]) == ("duplicate_request", "01")
    house.time.advance(5.0)
    assert ann.heard() == [{"request_id": "01", "data": {"first": {"a": "b"}}}]


def test_an_id_that_was_answered_may_be_used_again(house: House, ann: Visitor) -> None:
    for _ in range(2):
        ann.ask("01")
        house.time.advance(5.0)
        assert ann.heard_ids() == ["01"]


def test_the_same_id_on_two_connections_is_two_requests(house: House, ann: Visitor) -> None:
    bob = Visitor(house)
    ann.ask("01", "ann&&a&&b")
    bob.ask("01", "bob&&a&&b")
    house.time.advance(5.0)
    assert [list(answer["data"]) for answer in ann.heard() + bob.heard()] == [["ann"], ["bob"]]


def test_more_requests_than_may_be_pending_are_refused_until_one_is_answered() -> None:
    house = House(max_pending=2)
    ann, bob = Visitor(house), Visitor(house)
    for number in (1, 2, 3):
        ann.ask(number)
    (error,) = ann.heard()
    assert (error["reason"], error["request_id"]) == ("too_many_requests", 3)
    bob.ask(1)
    assert bob.heard() == [], "the limit is each connection's own"
    house.time.advance(5.0)
    assert sorted(ann.heard_ids(), key=str) == [1, 2]
    ann.ask(3)
    house.time.advance(5.0)
    assert ann.heard_ids() == [3]


def test_answers_of_more_bytes_than_may_be_pending_are_refused_until_one_is_sent() -> None:
    house = House(max_bytes=1_000)
    ann = Visitor(house)
    ann.ask(1, f"a&&b&&{'c' * 600}")
    ann.ask(2, f"a&&b&&{'c' * 600}")
    ann.ask(3, "a&&b&&c")
    (error,) = ann.heard()
    assert (error["reason"], error["request_id"]) == ("too_many_requests", 2)
    house.time.advance(5.0)
    assert set(ann.heard_ids()) == {1, 3}
    ann.ask(2, f"a&&b&&{'c' * 600}")
    house.time.advance(5.0)
    assert ann.heard_ids() == [2]


def test_what_is_pending_keeps_a_connection_open_and_what_was_answered_does_not(
    house: House, ann: Visitor
) -> None:
    for number in range(10):
        ann.ask(number)
    heard: list[str | int] = []
    while ann.session.pending_replies.count:
        assert len(heard) < 10
        house.time.advance(0.001)
        heard += ann.heard_ids()
    assert len(heard) == 10
    assert len(house.wheel) == 0


def test_answers_that_are_due_together_go_out_together_in_the_order_of_their_requests() -> None:
    house = House(delay=(1.0, 1.0))
    ann, bob = Visitor(house), Visitor(house)
    for number in range(100):
        ann.ask(number)
        bob.ask(-number)
    assert len(house.wheel) == 1
    house.time.advance(1.002)
    assert ann.heard_ids() == list(range(100))
    assert bob.heard_ids() == [-number for number in range(100)]


def test_of_answers_that_are_due_together_a_disconnect_cancels_its_own() -> None:
    house = House(delay=(1.0, 1.0))
    ann, bob = Visitor(house), Visitor(house)
    for number in range(3):
        ann.ask(number)
        bob.ask(number)
    ann.leave()
    house.time.advance(1.002)
    assert ann.heard() == []
    assert bob.heard_ids() == [0, 1, 2]


def test_a_moment_that_a_disconnect_left_empty_takes_requests_again() -> None:
    house = House(delay=(1.0, 1.0))
    ann, bob = Visitor(house), Visitor(house)
    ann.ask("01")
    ann.leave()
    assert len(house.wheel) == 0
    bob.ask("01")
    house.time.advance(1.002)
    assert ann.heard() == []
    assert bob.heard_ids() == ["01"]


def test_a_disconnect_cancels_what_is_pending_for_it_alone(house: House, ann: Visitor) -> None:
    bob = Visitor(house)
    for number in range(1_000):
        ann.ask(number)
    bob.ask("bob")
    ann.leave()
    assert len(house.wheel) == 1
    assert ann.session.pending_replies.count == 0
    house.time.advance(5.0)
    assert ann.heard() == []
    assert bob.heard_ids() == ["bob"]
    assert not house.time.timers


def test_a_disconnect_with_nothing_pending_is_nothing_special(house: House, ann: Visitor) -> None:
    ann.leave()
    bob = Visitor(house)
    bob.ask("01")
    house.time.advance(5.0)
    bob.leave()
    assert bob.heard_ids() == ["01"]
    assert bob.session.pending_replies.count == 0


def test_a_refused_request_draws_no_delay_and_leaves_nothing_behind() -> None:
    house = House(max_pending=1)
    ann = Visitor(house)
    for number in range(100):
        ann.ask(number)
    assert ann.session.pending_replies.count == len(house.wheel) == 1


def test_it_serves_requests_with_a_code_and_without(house: House) -> None:
    assert {row.kind for row in house.requests.routes} == {Request, BareRequest}
    assert not any(row.requires_hello for row in house.requests.routes)
