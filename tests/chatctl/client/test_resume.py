"""The client's position in the log, without a connection.

What comes from the log while there is no space for it.
"""

import pytest
from msgspec import UNSET

from chatctl.client.event_queue import EventQueue
from chatctl.client.events import Event
from chatctl.client.resume import Cursor, ReplayFilter
from common.messages.chat import Gap, Hello, IncomingBroadcast, Resumed, Welcome

TOKEN = "t" * 24


def message(number: int) -> IncomingBroadcast:
    return IncomingBroadcast("bob", "hi", number)


@pytest.fixture
def cursor() -> Cursor:
    """One that was welcomed to log a, whose newest id was 10."""
    cursor = Cursor()
    cursor.hello_sent(Hello("ann", 1, TOKEN))
    cursor.on_welcome(Welcome(name="ann", token=TOKEN, log="a", last=10))
    return cursor


def test_it_begins_where_the_log_ends(cursor: Cursor) -> None:
    assert cursor.position == 10
    assert cursor.resume_hello(has_capacity=True) == Hello("ann", 1, TOKEN, after=10, log="a")


def test_with_after_it_begins_there() -> None:
    cursor = Cursor()
    cursor.hello_sent(Hello("ann", 1, TOKEN, after=3))
    cursor.on_welcome(Welcome(log="a", last=10))

    assert cursor.position == 3


def test_without_a_welcome_it_is_nowhere() -> None:
    cursor = Cursor()
    cursor.hello_sent(Hello("ann", 1, TOKEN))

    assert not cursor.is_registered
    assert cursor.name == ""


def test_only_what_is_newer_than_the_last_is_accepted(cursor: Cursor) -> None:
    assert not cursor.accepts(message(10))
    assert cursor.accepts(message(11))
    cursor.advance(message(12))
    assert not cursor.accepts(message(11))
    assert cursor.position == 12


def test_a_message_without_an_id_is_always_new(cursor: Cursor) -> None:
    assert cursor.accepts(IncomingBroadcast("bob", "hi"))


def test_the_end_of_a_replay_moves_it_on_past_what_was_for_others(cursor: Cursor) -> None:
    cursor.on_resumed(Resumed(0, 99, gap=False))

    assert cursor.position == 99


def test_what_is_left_to_the_log_and_all_behind_it_comes_again(cursor: Cursor) -> None:
    cursor.mark_lagging()

    assert not cursor.accepts(message(12))
    cursor.on_resumed(Resumed(5, 12, gap=False))
    assert cursor.resume_hello(has_capacity=True).after == 10
    assert cursor.accepts(message(11))


def test_without_room_the_replay_is_put_off(cursor: Cursor) -> None:
    assert cursor.resume_hello(has_capacity=False).after is UNSET
    cursor.on_welcome(Welcome(log="a", last=20))

    assert cursor.is_lagging
    assert cursor.position == 10
    assert cursor.resume_hello(has_capacity=True).after == 10


def test_in_another_log_it_starts_over(cursor: Cursor) -> None:
    cursor.resume_hello(has_capacity=True)

    assert cursor.on_welcome(Welcome(log="b", last=20))
    assert cursor.accepts(message(1))
    assert cursor.resume_hello(has_capacity=True) == Hello("ann", 1, TOKEN, after=0, log="b")
    assert not cursor.on_welcome(Welcome(log="b", last=20))


def test_another_log_is_noticed_by_the_first_hello_too() -> None:
    cursor = Cursor()
    cursor.hello_sent(Hello("ann", 1, TOKEN, after=50, log="a"))

    assert cursor.on_welcome(Welcome(log="b", last=60))
    assert cursor.position == 0


def test_another_log_is_noticed_only_when_it_is_asked_for_what_is_in_it(cursor: Cursor) -> None:
    cursor.resume_hello(has_capacity=False)
    assert not cursor.on_welcome(Welcome(log="b", last=20))

    assert cursor.resume_hello(has_capacity=True) == Hello("ann", 1, TOKEN, after=10, log="a")
    assert cursor.on_welcome(Welcome(log="b", last=20))


def test_a_log_that_lost_its_end_counts_on_from_there(cursor: Cursor) -> None:
    cursor.resume_hello(has_capacity=True)
    cursor.on_welcome(Welcome(log="a", last=7))
    cursor.on_resumed(Resumed(0, 7, gap=True, first=1))

    assert cursor.accepts(message(8))


def test_the_same_log_goes_on(cursor: Cursor) -> None:
    cursor.resume_hello(has_capacity=True)

    assert not cursor.on_welcome(Welcome(log="a", last=20))
    assert cursor.position == 10


def registered_filter(queue: EventQueue[Event]) -> ReplayFilter:
    """Return a filter whose cursor is at id 10."""
    replay_filter = ReplayFilter(queue)
    replay_filter.cursor.hello_sent(Hello("ann", 1, "t" * 24))
    replay_filter.on_welcome(Welcome(name="ann", token="t" * 24, log="a", last=10))
    return replay_filter


def take(replay_filter: ReplayFilter, *messages: object) -> None:
    for message in messages:
        replay_filter.handlers[type(message)](message)


async def test_a_gap_without_room_is_left_to_the_log_with_what_follows_it() -> None:
    queue = EventQueue[Event](limit=1)
    replay_filter = registered_filter(queue)
    eleven, twelve = (IncomingBroadcast("bob", "hi", number) for number in (11, 12))

    take(replay_filter, eleven, twelve, Gap(20), IncomingBroadcast("bob", "hi", 20))

    assert [await queue.get(), await queue.get()] == [eleven, twelve]
    assert replay_filter.must_catch_up
    assert replay_filter.resume_hello().after == 12


async def test_a_gap_behind_what_was_left_to_the_log_comes_again_with_that() -> None:
    queue = EventQueue[Event](limit=1)
    replay_filter = registered_filter(queue)
    take(replay_filter, *(IncomingBroadcast("bob", "hi", number) for number in (11, 12, 13)))
    await queue.get()

    take(replay_filter, Gap(20))

    assert len(queue) == 1
    assert replay_filter.cursor.position == 12
