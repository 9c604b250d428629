"""Where a client stands in the log, without a connection."""

import pytest
from msgspec import UNSET

from chatctl.place import Place
from common.messages.chat import Hello, IncomingBroadcast, Resumed, Welcome

TOKEN = "t" * 24


def message(number: int) -> IncomingBroadcast:
    return IncomingBroadcast("bob", "hi", number)


@pytest.fixture
def place() -> Place:
    """One that was welcomed to log a, whose newest id was 10."""
    place = Place()
    place.say(Hello("ann", 1, TOKEN))
    place.welcomed(Welcome(name="ann", token=TOKEN, log="a", last=10))
    return place


def test_it_begins_where_the_log_ends(place: Place) -> None:
    assert place.last == 10
    assert place.greet(has_room=True) == Hello("ann", 1, TOKEN, after=10, log="a")


def test_with_after_it_begins_there() -> None:
    place = Place()
    place.say(Hello("ann", 1, TOKEN, after=3))
    place.welcomed(Welcome(log="a", last=10))

    assert place.last == 3


def test_without_a_welcome_it_is_nowhere() -> None:
    place = Place()
    place.say(Hello("ann", 1, TOKEN))

    assert not place.is_known
    assert place.name == ""


def test_only_what_is_newer_than_the_last_is_accepted(place: Place) -> None:
    assert not place.accepts(message(10))
    assert place.accepts(message(11))
    place.saw(message(12))
    assert not place.accepts(message(11))
    assert place.last == 12


def test_a_message_without_an_id_is_always_new(place: Place) -> None:
    assert place.accepts(IncomingBroadcast("bob", "hi"))


def test_the_end_of_a_replay_moves_it_on_past_what_was_for_others(place: Place) -> None:
    place.resumed(Resumed(0, 99, gap=False))

    assert place.last == 99


def test_what_is_left_to_the_log_and_all_behind_it_comes_again(place: Place) -> None:
    place.leave_to_log()

    assert not place.accepts(message(12))
    place.resumed(Resumed(5, 12, gap=False))
    assert place.greet(has_room=True).after == 10
    assert place.accepts(message(11))


def test_without_room_the_replay_is_put_off(place: Place) -> None:
    assert place.greet(has_room=False).after is UNSET
    place.welcomed(Welcome(log="a", last=20))

    assert place.is_behind
    assert place.last == 10
    assert place.greet(has_room=True).after == 10


def test_in_another_log_it_starts_over(place: Place) -> None:
    place.greet(has_room=True)

    assert place.welcomed(Welcome(log="b", last=20))
    assert place.accepts(message(1))
    assert place.greet(has_room=True) == Hello("ann", 1, TOKEN, after=0, log="b")
    assert not place.welcomed(Welcome(log="b", last=20))


def test_another_log_is_noticed_by_the_first_hello_too() -> None:
    place = Place()
    place.say(Hello("ann", 1, TOKEN, after=50, log="a"))

    assert place.welcomed(Welcome(log="b", last=60))
    assert place.last == 0


def test_another_log_is_noticed_only_when_it_is_asked_for_what_is_in_it(place: Place) -> None:
    place.greet(has_room=False)
    assert not place.welcomed(Welcome(log="b", last=20))

    assert place.greet(has_room=True) == Hello("ann", 1, TOKEN, after=10, log="a")
    assert place.welcomed(Welcome(log="b", last=20))


def test_a_log_that_lost_its_end_counts_on_from_there(place: Place) -> None:
    place.greet(has_room=True)
    place.welcomed(Welcome(log="a", last=7))
    place.resumed(Resumed(0, 7, gap=True, first=1))

    assert place.accepts(message(8))


def test_the_same_log_goes_on(place: Place) -> None:
    place.greet(has_room=True)

    assert not place.welcomed(Welcome(log="a", last=20))
    assert place.last == 10
