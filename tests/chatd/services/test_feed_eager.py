"""Feeds as fast as they are read: pulled by a send queue that was written, held up by another."""

import pytest

from chatd.services.feed import BURST
from tests.chatd.feeding import FakeSubscriber, FeedHarness


@pytest.fixture
def harness() -> FeedHarness:
    return FeedHarness()


@pytest.fixture
def ann(harness: FeedHarness) -> FakeSubscriber:
    return FakeSubscriber(harness)


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
