"""Whom to dial, and when; the time is the test's."""

from chatctl.sharing.contacts import COURTESY, Contact, Contacts
from common.addresses import Address

THERE = Address("192.0.2.1", 4000)
ELSEWHERE = Address("192.0.2.2", 4000)


def ids(contacts: list[Contact]) -> list[str]:
    return [contact.id for contact in contacts]


def test_who_comes_later_in_the_order_of_ids_is_dialled_at_once() -> None:
    contacts = Contacts("5")
    contacts.hear_of("7", THERE, 0.0)
    assert ids(contacts.take_due(0.0, ())) == ["7"]


def test_who_comes_before_is_given_time_to_dial() -> None:
    contacts = Contacts("5")
    contacts.hear_of("3", THERE, 0.0)
    assert contacts.take_due(COURTESY - 0.01, ()) == []
    assert ids(contacts.take_due(COURTESY, ())) == ["3"]


def test_an_address_without_an_id_is_dialled_at_once() -> None:
    contacts = Contacts("5")
    contacts.hear_of("", THERE, 0.0)
    contacts.hear_of("", ELSEWHERE, 0.0)
    assert [contact.address for contact in contacts.take_due(0.0, ())] == [THERE, ELSEWHERE]


def test_oneself_is_not_dialled_nor_who_is_there_already() -> None:
    contacts = Contacts("5")
    contacts.hear_of("5", THERE, 0.0)
    contacts.hear_of("7", THERE, 0.0)
    assert contacts.take_due(9.0, {"7"}) == []
    assert ids(contacts.take_due(9.0, ())) == ["7"]


def test_a_dial_that_goes_on_is_not_begun_again() -> None:
    contacts = Contacts("5")
    contacts.hear_of("7", THERE, 0.0)
    contacts.take_due(0.0, ())
    contacts.hear_of("7", THERE, 1.0)
    assert contacts.take_due(9.0, ()) == []


def test_after_a_failure_it_is_tried_again_within_some_seconds_and_the_reason_is_kept() -> None:
    contacts = Contacts("5")
    contacts.hear_of("7", THERE, 0.0)
    for now in (0.0, 10.0, 20.0):
        (contact,) = contacts.take_due(now, ())
        contacts.failed(contact, "connection refused", now)
    assert [each.failure for each in contacts.out_of_reach(())] == ["connection refused"]
    assert list(contacts.out_of_reach({"7"})) == []


def test_who_was_reached_is_no_failure_any_more_and_an_address_is_forgotten() -> None:
    contacts = Contacts("5")
    contacts.hear_of("", THERE, 0.0)
    (contact,) = contacts.take_due(0.0, ())
    contacts.failed(contact, "connection refused", 0.0)
    (contact,) = contacts.take_due(9.0, ())
    contacts.reached(contact)
    assert list(contacts.out_of_reach(())) == []
    assert contacts.take_due(99.0, ()) == []


def test_who_moved_is_dialled_at_the_new_address() -> None:
    contacts = Contacts("5")
    contacts.hear_of("7", THERE, 0.0)
    contacts.hear_of("7", ELSEWHERE, 1.0)
    assert [contact.address for contact in contacts.take_due(1.0, ())] == [ELSEWHERE]


def test_who_left_is_dialled_no_more() -> None:
    contacts = Contacts("5")
    contacts.hear_of("7", THERE, 0.0)
    contacts.forget("7")
    contacts.forget("8")
    assert contacts.take_due(9.0, ()) == []


def test_who_was_lost_is_dialled_again_each_time_a_little_later_but_within_seconds() -> None:
    contacts = Contacts("5")
    contacts.hear_of("7", THERE, 0.0)
    for now in range(0, 100, 10):
        (contact,) = contacts.take_due(now, ())
        contacts.reached(contact)
        contacts.lost("7", now)
        assert now <= contact.due <= now + 5
    contacts.lost("8", 0.0)
