"""Who is online, and who is to get what the log commits."""

from chatd.core.formats import Format
from chatd.core.presence import Presence
from chatd.core.session import Session
from tests.support.fakes import detached_session


def live(presence: Presence, wire_format: Format) -> list[Session]:
    return list(presence.live[wire_format])


def test_who_joined_is_found_by_name_and_by_identity() -> None:
    presence, ann = Presence(), detached_session(1)
    presence.join(ann)
    assert presence.by_key("user 1") is presence.by_identity(1) is ann
    assert presence.by_key("user 2") is presence.by_identity(2) is None
    assert (len(presence), list(presence), presence.names()) == (1, [ann], ["user 1"])


def test_who_joined_gets_deliveries_only_from_start_live() -> None:
    presence, ann = Presence(), detached_session(1, Format.V1)
    presence.join(ann)
    assert (ann.is_live, live(presence, Format.V1)) == (False, [])
    presence.start_live(ann)
    assert (ann.is_live, live(presence, Format.V1)) == (True, [ann])
    assert live(presence, Format.LEGACY) == live(presence, Format.TEXT) == []


def test_who_left_is_nowhere() -> None:
    presence, ann = Presence(), detached_session(1)
    ann.wants_presence = True
    presence.join(ann)
    presence.start_live(ann)
    assert presence.leave(ann)
    assert not ann.is_live
    assert presence.by_key("user 1") is presence.by_identity(1) is None
    assert len(presence) == 0
    assert list(presence.watchers) == live(presence, Format.LEGACY) == []


def test_leaving_twice_or_without_having_joined_is_nothing() -> None:
    presence, ann = Presence(), detached_session(1)
    assert not presence.leave(ann)
    presence.join(ann)
    assert presence.leave(ann)
    assert not presence.leave(ann)


def test_who_was_replaced_does_not_take_the_name_along() -> None:
    presence, old, new = Presence(), detached_session(1), detached_session(1)
    presence.join(old)
    presence.leave(old)
    presence.join(new)
    assert not presence.leave(old)
    assert presence.by_key("user 1") is presence.by_identity(1) is new


def test_only_those_who_asked_watch() -> None:
    presence, ann, bob = Presence(), detached_session(1), detached_session(2)
    bob.wants_presence = True
    presence.join(ann)
    presence.join(bob)
    assert list(presence.watchers) == [bob]


def test_the_list_of_names_is_encoded_once_between_two_changes() -> None:
    presence, ann, bob = Presence(), detached_session(1), detached_session(2)
    presence.join(ann)
    once = presence.encoded_names(Format.LEGACY)
    assert once.encoded == b'{"code":"users","users":["user 1"]}\n'
    assert presence.encoded_names(Format.LEGACY) is once
    presence.join(bob)
    assert presence.encoded_names(Format.LEGACY).encoded.count(b"user ") == 2
    presence.leave(ann)
    assert presence.encoded_names(Format.LEGACY).encoded.count(b"user ") == 1


def test_each_format_has_its_own_list_of_names() -> None:
    presence = Presence()
    presence.join(detached_session(1))
    assert presence.encoded_names(Format.LEGACY).encoded.startswith(b"{")
    assert presence.encoded_names(Format.TEXT).encoded == b"current users:\nuser 1\n\n"
