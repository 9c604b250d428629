"""What comes from the log while there is no room for it."""

from chatctl.events import Event
from chatctl.inbox import Inbox
from chatctl.intake import Intake
from common.messages.chat import Gap, Hello, IncomingBroadcast, Welcome


def welcomed(inbox: Inbox[Event]) -> Intake:
    """Return an intake that stands at id 10."""
    intake = Intake(inbox)
    intake.place.say(Hello("ann", 1, "t" * 24))
    intake.welcomed(Welcome(name="ann", token="t" * 24, log="a", last=10))
    return intake


def take(intake: Intake, *messages: object) -> None:
    for message in messages:
        intake.takers[type(message)](message)


async def test_a_gap_without_room_is_left_to_the_log_with_what_follows_it() -> None:
    inbox = Inbox[Event](limit=1)
    intake = welcomed(inbox)
    eleven, twelve = (IncomingBroadcast("bob", "hi", number) for number in (11, 12))

    take(intake, eleven, twelve, Gap(20), IncomingBroadcast("bob", "hi", 20))

    assert [await inbox.get(), await inbox.get()] == [eleven, twelve]
    assert intake.must_catch_up
    assert intake.greet().after == 12


async def test_a_gap_behind_what_was_left_to_the_log_comes_again_with_that() -> None:
    inbox = Inbox[Event](limit=1)
    intake = welcomed(inbox)
    take(intake, *(IncomingBroadcast("bob", "hi", number) for number in (11, 12, 13)))
    await inbox.get()

    take(intake, Gap(20))

    assert len(inbox) == 1
    assert intake.place.last == 12
