"""What comes from the log while there is no room for it."""

from chatctl.events import Event
from chatctl.inbox import EventQueue
from chatctl.intake import ReplayFilter
from common.messages.chat import Gap, Hello, IncomingBroadcast, Welcome


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
