"""Who is online, and who is to get what the log commits."""

from chatd.dialects import Dialect
from chatd.roster import Roster
from chatd.session import Session
from tests.chatd.lone import lone_session


def live(roster: Roster, dialect: Dialect) -> list[Session]:
    return list(roster.live[dialect])


def test_who_joined_is_found_by_name_and_by_identity() -> None:
    roster, ann = Roster(), lone_session(1)
    roster.join(ann)
    assert roster.find("user 1") is roster.of(1) is ann
    assert roster.find("user 2") is roster.of(2) is None
    assert (len(roster), list(roster), roster.names()) == (1, [ann], ["user 1"])


def test_who_joined_gets_deliveries_only_from_going_live() -> None:
    roster, ann = Roster(), lone_session(1, Dialect.FULL)
    roster.join(ann)
    assert (ann.is_live, live(roster, Dialect.FULL)) == (False, [])
    roster.go_live(ann)
    assert (ann.is_live, live(roster, Dialect.FULL)) == (True, [ann])
    assert live(roster, Dialect.BARE) == live(roster, Dialect.TEXT) == []


def test_who_left_is_nowhere() -> None:
    roster, ann = Roster(), lone_session(1)
    ann.wants_presence = True
    roster.join(ann)
    roster.go_live(ann)
    assert roster.leave(ann)
    assert not ann.is_live
    assert roster.find("user 1") is roster.of(1) is None
    assert len(roster) == 0
    assert list(roster.watchers) == live(roster, Dialect.BARE) == []


def test_leaving_twice_or_without_having_joined_is_nothing() -> None:
    roster, ann = Roster(), lone_session(1)
    assert not roster.leave(ann)
    roster.join(ann)
    assert roster.leave(ann)
    assert not roster.leave(ann)


def test_who_was_replaced_does_not_take_the_name_along() -> None:
    roster, old, new = Roster(), lone_session(1), lone_session(1)
    roster.join(old)
    roster.leave(old)
    roster.join(new)
    assert not roster.leave(old)
    assert roster.find("user 1") is roster.of(1) is new


def test_only_those_who_asked_watch() -> None:
    roster, ann, bob = Roster(), lone_session(1), lone_session(2)
    bob.wants_presence = True
    roster.join(ann)
    roster.join(bob)
    assert list(roster.watchers) == [bob]


def test_the_list_of_names_is_encoded_once_between_two_changes() -> None:
    roster, ann, bob = Roster(), lone_session(1), lone_session(2)
    roster.join(ann)
    once = roster.encoded_names(Dialect.BARE)
    assert once.encoded == b'{"code":"users","users":["user 1"]}\n'
    assert roster.encoded_names(Dialect.BARE) is once
    roster.join(bob)
    assert roster.encoded_names(Dialect.BARE).encoded.count(b"user ") == 2
    roster.leave(ann)
    assert roster.encoded_names(Dialect.BARE).encoded.count(b"user ") == 1


def test_each_dialect_has_its_own_list_of_names() -> None:
    roster = Roster()
    roster.join(lone_session(1))
    assert roster.encoded_names(Dialect.BARE).encoded.startswith(b"{")
    assert roster.encoded_names(Dialect.TEXT).encoded == b"current users:\nuser 1\n\n"
