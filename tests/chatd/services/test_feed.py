"""Feeds on a clock that a test moves: schedule, topics, start and end, and feeds on demand."""

import logging

import pytest

from chatd.services.feed.service import BURST, MAX_CATCH_UP, PHASES
from common.messages.base import RejectedError
from common.messages.feed import Block
from tests.support.feed_harness import FakeSubscriber, FeedHarness


@pytest.fixture
def harness() -> FeedHarness:
    return FeedHarness()


@pytest.fixture
def ann(harness: FeedHarness) -> FakeSubscriber:
    return FakeSubscriber(harness)


async def test_users_and_arrays_take_turns_and_say_when_they_were_sent(
    harness: FeedHarness, ann: FakeSubscriber
) -> None:
    await ann.subscribe(interval_ms=100, size=3)
    start = harness.time.now
    harness.time.advance(0.25)
    user, array = ann.received()
    assert list(user) == ["code", "n", "sent", "user"]
    assert user["user"]["email"] == "ann@example.com"
    assert (user["code"], user["n"], array["code"], array["n"]) == ("user", 1, "array", 2)
    assert array["values"] == [2, 2, 2]
    assert start > 0
    assert array["sent"] > user["sent"] >= "2026-11-21T07:27:40.1"


async def test_message_n_is_due_n_intervals_after_the_start(
    harness: FeedHarness, ann: FakeSubscriber
) -> None:
    await ann.subscribe(interval_ms=10)
    began = harness.time.now
    arrivals = []
    for _ in range(100):
        harness.time.advance(0.001)
        arrivals += [(number, harness.time.now - began) for number in ann.numbers()]
    first = arrivals[0][1]
    assert 0.010 <= first < 0.010 + 0.001 * PHASES
    assert [number for number, _ in arrivals] == list(range(1, len(arrivals) + 1))
    for number, at in arrivals:
        assert at == pytest.approx(first + (number - 1) * 0.010)


async def test_a_ref_is_answered_before_the_first_message(
    harness: FeedHarness, ann: FakeSubscriber
) -> None:
    await ann.subscribe(interval_ms=1, ref="a")
    harness.time.advance(0.02)
    received = ann.received()
    assert received[0] == {"code": "subscribed", "ref": "a"}
    assert received[1]["n"] == 1


async def test_without_a_ref_nothing_comes_before_its_time(
    harness: FeedHarness, ann: FakeSubscriber
) -> None:
    await ann.subscribe(interval_ms=3_600_000)
    harness.time.advance(3_599.9)
    assert ann.received() == []
    harness.time.advance(0.2)
    assert ann.numbers() == [1]


@pytest.mark.parametrize("apart_ms", [0, 1, 3, 9, 10])
async def test_feeds_are_spread_over_the_phases_however_they_begin(
    harness: FeedHarness, apart_ms: int
) -> None:
    clients = [FakeSubscriber(harness) for _ in range(100)]
    for client in clients:
        await client.subscribe(interval_ms=10)
        harness.time.advance(apart_ms / 1_000)
    harness.time.advance(0.010)
    for client in clients:
        client.write()
    together = []
    for _ in range(PHASES):
        harness.time.advance(0.001)
        together.append(sum(len(client.numbers()) for client in clients))
    assert sum(together) == len(clients)
    assert max(together) == len(clients) / PHASES


async def test_what_a_busy_loop_left_over_is_sent_at_once_and_the_schedule_stays(
    harness: FeedHarness, ann: FakeSubscriber
) -> None:
    await ann.subscribe(interval_ms=10)
    harness.time.advance(0.035)
    before = ann.numbers()
    harness.time.stall(0.050)
    late = ann.numbers()
    assert len(late) == 5
    harness.time.advance(0.100)
    assert len(ann.numbers()) == 10
    assert late[0] == before[-1] + 1


async def test_of_a_long_stall_only_a_few_messages_are_made_up_for(
    harness: FeedHarness, ann: FakeSubscriber
) -> None:
    await ann.subscribe(interval_ms=1)
    harness.time.stall(60.0)
    assert ann.numbers() == list(range(1, MAX_CATCH_UP + 1))
    harness.time.advance(0.010)
    assert ann.numbers() == list(range(MAX_CATCH_UP + 1, MAX_CATCH_UP + 11))


async def test_while_a_subscriber_does_not_read_its_feed_waits_and_no_number_is_lost(
    harness: FeedHarness, ann: FakeSubscriber
) -> None:
    await ann.subscribe(interval_ms=10)
    harness.time.advance(0.1)
    last = ann.numbers()[-1]
    ann.send_queue.is_blocked = True
    harness.time.advance(60.0)
    assert ann.received() == []
    ann.send_queue.is_blocked = False
    harness.time.advance(0.020)
    assert ann.numbers() == [last + 1, last + 2]


async def test_a_periodic_feed_never_queues_much_more_than_a_burst(
    harness: FeedHarness, ann: FakeSubscriber
) -> None:
    await ann.subscribe(topics=("array",), interval_ms=1, size=1_000, high=10**15)
    harness.time.advance(10.0)
    assert BURST <= ann.send_queue.size < 2 * BURST


async def test_another_subscribe_takes_the_place_of_the_first(
    harness: FeedHarness, ann: FakeSubscriber
) -> None:
    await ann.subscribe(interval_ms=0)
    ann.write()
    await ann.subscribe(topics=("array",), interval_ms=1_000, ref="b")
    assert ann.received()[-1] == {"code": "subscribed", "ref": "b"}
    harness.time.advance(1.5)
    (array,) = ann.received()
    assert (array["code"], array["n"]) == ("array", 1)
    assert len(harness.wheel) == 1


async def test_unsubscribe_ends_a_feed_and_leaves_nothing_behind(harness: FeedHarness) -> None:
    paced, eager = FakeSubscriber(harness), FakeSubscriber(harness)
    await paced.subscribe(interval_ms=10)
    await eager.subscribe(interval_ms=0)
    for client in (paced, eager):
        client.unsubscribe()
        client.write()
    harness.time.advance(1.0)
    assert paced.received() == eager.received() == []
    assert len(harness.wheel) == 0


def test_unsubscribe_without_a_feed_is_nothing(ann: FakeSubscriber) -> None:
    ann.unsubscribe()
    assert ann.received() == []


async def test_a_session_that_ends_takes_its_feed_with_it(harness: FeedHarness) -> None:
    paced, eager = FakeSubscriber(harness), FakeSubscriber(harness)
    await paced.subscribe(interval_ms=10)
    await eager.subscribe(interval_ms=0)
    for client in (paced, eager):
        client.session.close("quit")
        client.write()
        assert client.received() == []
    assert len(harness.wheel) == 0


async def test_a_session_that_ended_while_items_were_generated_gets_no_feed(
    harness: FeedHarness, ann: FakeSubscriber
) -> None:
    harness.while_opening = lambda: ann.session.close("connection lost")
    await ann.subscribe(interval_ms=10, ref="a")
    assert ann.received() == []
    assert len(harness.wheel) == 0


async def test_without_what_makes_items_the_refusal_says_how_to_install_it(
    harness: FeedHarness, ann: FakeSubscriber
) -> None:
    def fail() -> None:
        raise ModuleNotFoundError("No module named 'faker'")

    harness.while_opening = fail
    with pytest.raises(RejectedError) as raised:
        await ann.subscribe(ref="a")
    error = raised.value.error
    assert (error.reason, error.ref) == ("unsupported", "a")
    assert error.detail.endswith("pip install 'chatd[feed]'")


@pytest.mark.parametrize(("is_interrupted", "mark"), [(False, ""), (True, ", interrupted")])
def test_the_timing_of_a_block_is_logged(
    harness: FeedHarness,
    ann: FakeSubscriber,
    caplog: pytest.LogCaptureFixture,
    *,
    is_interrupted: bool,
    mark: str,
) -> None:
    caplog.set_level(logging.INFO)
    harness.feeds.block(ann.session, Block(5, 4.98, is_interrupted))
    assert caplog.messages == [f"192.0.2.1:40000: block of 5 in 4.980 s{mark}"]


async def test_interval_0_sends_a_burst_whenever_the_last_one_is_written(
    ann: FakeSubscriber,
) -> None:
    await ann.subscribe(interval_ms=0)
    expected = 1
    for _ in range(5):
        assert BURST <= ann.send_queue.size < 2 * BURST
        numbers = ann.numbers()
        assert numbers == list(range(expected, expected + len(numbers)))
        expected += len(numbers)


async def test_interval_0_waits_for_a_subscriber_that_does_not_read(
    harness: FeedHarness, ann: FakeSubscriber
) -> None:
    await ann.subscribe(interval_ms=0)
    queued = ann.send_queue.size
    harness.time.advance(3_600.0)
    assert ann.send_queue.size == queued


async def test_interval_0_goes_on_when_more_is_generated(
    harness: FeedHarness, ann: FakeSubscriber
) -> None:
    harness.available = 3
    await ann.subscribe(interval_ms=0)
    assert ann.numbers() == [1, 2, 3]
    harness.streams[0].make_available(2)
    assert ann.numbers() == [4, 5]


async def test_what_is_generated_for_a_full_send_queue_waits_in_the_stream(
    harness: FeedHarness, ann: FakeSubscriber
) -> None:
    await ann.subscribe(interval_ms=0)
    taken = harness.streams[0].taken
    harness.streams[0].make_available(2)
    ann.send_queue.take(10**6)
    ann.send_queue.is_blocked = True
    harness.streams[0].make_available(2)
    assert harness.streams[0].taken == taken


async def test_items_generated_for_a_feed_that_is_over_disturb_nobody(
    harness: FeedHarness, ann: FakeSubscriber
) -> None:
    await ann.subscribe(interval_ms=0)
    ann.unsubscribe()
    ann.write()
    harness.streams[0].make_available(1)
    assert ann.received() == []
