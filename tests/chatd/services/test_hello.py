"""Hello: the rules of names, tokens and reservations, and presence announcements."""

import asyncio
from typing import Any

import pytest

from chatd.core.session import Session
from chatd.messagelog.base import NameOwner, StorageError
from chatd.messagelog.memory import MemoryLog
from common import __version__
from tests.support.service_harness import DAY, ServiceHarness


async def test_a_taken_name_is_refused_with_a_free_suggestion(harness: ServiceHarness) -> None:
    await harness.register("ann")
    await harness.register("ann-2")
    error = await harness.connect().ask("hello", name="ann")
    assert (error["reason"], error["name"], error["suggestion"]) == ("name_taken", "ann", "ann-3")


async def test_whose_name_was_taken_may_say_hello_again(harness: ServiceHarness) -> None:
    await harness.register("ann")
    other = harness.connect()
    suggestion = (await other.ask("hello", name="ann"))["suggestion"]
    assert await other.ask("hello", name=suggestion) == {"code": "welcome"}


@pytest.mark.parametrize(
    ("taken", "wanted"),
    [
        ("ann", "ANN"),
        ("Straße", "STRASSE"),
        ("ann", "\uff41nn"),
        ("José", "jose\u0301"),
        ("\ufb01n", "fin"),
    ],
)
async def test_spellings_of_one_name_are_one_name(
    harness: ServiceHarness, taken: str, wanted: str
) -> None:
    await harness.register(taken)
    assert (await harness.connect().ask("hello", name=wanted))["reason"] == "name_taken"


async def test_a_name_is_shown_as_it_was_given_in_nfc(harness: ServiceHarness) -> None:
    jose = await harness.register("Jose\u0301")
    assert (await jose.ask("who"))["users"] == ["José"]


@pytest.mark.parametrize(
    "name",
    ["", "x" * 65, "a\nb", "a|b", "#ann", " ann", "ann ", "*", "a\u202eb", "a\u200bb", "\x00"],
    ids=ascii,
)
async def test_a_name_against_the_rules_is_refused(harness: ServiceHarness, name: str) -> None:
    client = harness.connect()
    error = await client.ask("hello", name=name)
    assert (error["reason"], error["name"]) == ("bad_name", name)
    assert await client.ask("hello", name="ann") == {"code": "welcome"}


@pytest.mark.parametrize("name", ["x" * 64, "a b", "名前", "a#b", "**", "🦉"])
async def test_any_other_name_is_fine(harness: ServiceHarness, name: str) -> None:
    assert (await (await harness.register(name)).ask("who"))["users"] == [name]


async def test_a_second_hello_is_refused_and_changes_nothing(harness: ServiceHarness) -> None:
    ann = await harness.register("ann")
    error = await ann.ask("hello", name="bob", version=1)
    assert error["reason"] == "hello_repeated"
    assert "ann" in error["detail"]
    assert await ann.ask("who") == {"code": "users", "users": ["ann"]}


@pytest.mark.parametrize("fields", [{}, {"version": 1}])
async def test_only_the_text_format_goes_without_a_name(
    harness: ServiceHarness, fields: dict[str, Any]
) -> None:
    error = await harness.connect().ask("hello", **fields)
    assert error["reason"] == "bad_field"
    assert "name" in error["detail"]


@pytest.mark.parametrize("field", [{"token": "0123456789abcdef"}, {"after": 0}, {"presence": True}])
async def test_what_belongs_to_version_1_is_refused_without_it(
    harness: ServiceHarness, field: dict[str, Any]
) -> None:
    error = await harness.connect().ask("hello", name="ann", **field)
    assert error["reason"] == "bad_field"
    assert '"version":1' in error["detail"]


async def test_a_legacy_name_is_free_as_soon_as_its_bearer_left(harness: ServiceHarness) -> None:
    (await harness.register("ann")).lose_connection()
    await harness.register("ann")


async def test_version_1_is_welcomed_with_what_it_needs_to_come_back(
    harness: ServiceHarness,
) -> None:
    ann = await harness.client("Ann")
    assert ann.welcome == {
        "code": "welcome",
        "version": 1,
        "server": f"chatd {__version__}",
        "name": "Ann",
        "token": ann.token,
        "log": harness.log.name,
        "last": 0,
        "max_line": 65_536,
        "max_inflight": 1_024,
    }
    assert len(ann.token) >= 32


async def test_a_later_version_is_answered_with_the_one_that_is_spoken(
    harness: ServiceHarness,
) -> None:
    ann = await harness.register("ann", version=2)
    assert ann.welcome["version"] == 1


async def test_the_welcome_names_the_newest_message(harness: ServiceHarness) -> None:
    ann = await harness.register("ann")
    await ann.send("outgoing_broadcast", content="one")
    await ann.send("outgoing_broadcast", content="two")
    harness.scheduler.run()
    assert (await harness.client("bob")).welcome["last"] == 2


async def test_what_is_committed_after_the_welcome_is_delivered(harness: ServiceHarness) -> None:
    ann = await harness.register("ann")
    await ann.send("outgoing_broadcast", content="in the same turn")
    bob = harness.connect()
    await bob.send("hello", name="bob", version=1)
    welcome, incoming = bob.received()
    assert (welcome["last"], incoming["id"]) == (0, 1)


OTHER_TOKEN = "x" * 32


async def test_the_token_takes_the_name_over_from_a_live_connection(
    harness: ServiceHarness,
) -> None:
    old, bob = await harness.client("ann"), await harness.register("bob")
    new = await harness.client("ann", token=old.token)
    (farewell,) = old.received()
    assert (farewell["reason"], farewell["name"]) == ("replaced", "ann")
    assert old.is_closed()
    await bob.send("outgoing", to="ann", content="which?")
    assert [message["content"] for message in new.received()] == ["which?"]
    assert old.lines() == []
    assert (await bob.ask("who"))["users"] == ["bob", "ann"]


async def test_the_token_stays_the_same(harness: ServiceHarness) -> None:
    ann = await harness.client("ann")
    again = await harness.client("ann", token=ann.token)
    assert again.token == ann.token


async def test_whoever_names_a_token_first_holds_the_name_by_it(harness: ServiceHarness) -> None:
    (await harness.client("ann", token="chosen by ann herself")).lose_connection()
    assert (await harness.client("ann", token="chosen by ann herself")).session.is_registered


@pytest.mark.parametrize("is_online", [True, False])
async def test_a_wrong_token_is_unauthorized_with_a_suggestion(
    harness: ServiceHarness, is_online: bool
) -> None:
    ann = await harness.client("ann")
    if not is_online:
        ann.lose_connection()
    error = await harness.connect().ask("hello", name="ann", version=1, token=OTHER_TOKEN)
    assert (error["reason"], error["suggestion"]) == ("unauthorized", "ann-2")
    assert ann.is_closed() is not is_online
    assert (await harness.client("ann", token=ann.token)).session.is_registered


@pytest.mark.parametrize("fields", [{}, {"version": 1}, {"format": "text"}])
async def test_a_reserved_name_cannot_be_taken_without_the_token(
    harness: ServiceHarness, fields: dict[str, object]
) -> None:
    (await harness.client("ann")).lose_connection()
    error = await harness.connect().ask("hello", name="Ann", **fields)
    assert (error["reason"], error["suggestion"]) == ("name_taken", "Ann-2")
    assert "is reserved" in error["detail"]


async def test_a_suggestion_is_never_a_reserved_name(harness: ServiceHarness) -> None:
    for name in ("ann", "ann-2"):
        (await harness.client(name)).lose_connection()
    assert (await harness.connect().ask("hello", name="ann"))["suggestion"] == "ann-3"


async def test_the_name_is_kept_for_the_reservation_and_then_free(harness: ServiceHarness) -> None:
    ann = await harness.client("ann")
    harness.clock.advance(100 * DAY)
    ann.lose_connection()
    harness.clock.advance(7 * DAY)
    assert (await harness.connect().ask("hello", name="ann"))["reason"] == "name_taken"
    harness.clock.advance(1)
    await harness.register("ann")


async def test_after_the_reservation_a_new_owner_has_a_token_and_an_identity_of_their_own(
    harness: ServiceHarness,
) -> None:
    old = await harness.client("ann")
    await old.send("outgoing_broadcast", content="hey", ref="r1")
    harness.scheduler.run()
    old.lose_connection()
    harness.clock.advance(8 * DAY)
    new = await harness.client("ann")
    assert new.token != old.token
    ack = await new.ask("outgoing_broadcast", content="hey", ref="r1")
    assert ack == {"code": "ack", "ref": "r1", "id": 2}
    error = await harness.connect().ask("hello", name="ann", version=1, token=old.token)
    assert error["reason"] == "unauthorized"


async def test_the_old_token_serves_after_the_reservation_if_nobody_came(
    harness: ServiceHarness,
) -> None:
    ann = await harness.client("ann")
    ann.lose_connection()
    harness.clock.advance(8 * DAY)
    again = await harness.client("ann", token=ann.token)
    assert again.session.identity == ann.session.identity


async def test_a_legacy_bearer_of_a_freed_name_is_not_replaced_by_its_old_token(
    harness: ServiceHarness,
) -> None:
    old = await harness.client("ann")
    old.lose_connection()
    harness.clock.advance(8 * DAY)
    legacy = await harness.register("ann")
    error = await harness.connect().ask("hello", name="ann", version=1, token=old.token)
    assert (error["reason"], error["suggestion"]) == ("name_taken", "ann-2")
    assert not legacy.is_closed()


async def test_whoever_is_here_keeps_the_name_longer_than_the_reservation(
    harness: ServiceHarness,
) -> None:
    ann = await harness.client("ann")
    harness.clock.advance(8 * DAY)
    error = await harness.connect().ask("hello", name="ann", version=1, token=OTHER_TOKEN)
    assert error["reason"] == "unauthorized"
    ann.lose_connection()
    assert (await harness.client("ann", token=ann.token)).session.identity == ann.session.identity


async def test_a_guest_number_is_never_a_reserved_name(harness: ServiceHarness) -> None:
    (await harness.client("guest-1")).lose_connection()
    guest = harness.connect()
    await guest.hello(format="text")
    assert guest.session.name == "guest-2"


class SlowLog(MemoryLog[Session]):
    """Answers who holds a name after a while, like a log on a disk."""

    async def owner(self, key: str) -> NameOwner | None:
        await asyncio.sleep(1)
        return await super().owner(key)


async def test_who_leaves_while_the_log_is_asked_is_not_taken_in() -> None:
    harness = ServiceHarness(SlowLog)
    await harness.open()
    ann = harness.connect()
    arriving = await ann.start_sending("hello", name="ann", version=1)
    ann.lose_connection()
    await arriving
    assert len(harness.presence) == 0


async def test_the_reservation_of_one_who_was_here_for_long_does_not_end_with_a_kill(
    harness: ServiceHarness,
) -> None:
    """Now and then it is noted who is here; a kill leaves no time for more."""
    ann = await harness.client("ann")
    harness.clock.advance(6 * DAY)
    harness.registration.record_presence()
    harness.clock.advance(6 * DAY)
    harness.presence.leave(ann.session)
    error = await harness.connect().ask("hello", name="ann", version=1)
    assert (error["code"], error["reason"]) == ("error", "name_taken")


async def test_a_name_that_cannot_be_kept_is_not_given() -> None:
    class FullLog(MemoryLog[Session]):
        async def claim(self, owner: NameOwner, replacing: NameOwner | None) -> bool:
            raise StorageError("the disk is full")

    current = ServiceHarness(FullLog)
    await current.open()
    ann = current.connect()
    error = await ann.ask("hello", name="ann", version=1)
    assert (error["code"], error["reason"]) == ("error", "storage_failed")
    assert not ann.session.is_registered
    assert await ann.ask("hello", name="ann") == {"code": "welcome"}


async def test_who_asked_hears_who_comes_and_who_goes(harness: ServiceHarness) -> None:
    ann = await harness.client("ann", presence=True)
    bob = await harness.register("bob")
    carol = await harness.client("carol")
    bob.lose_connection()
    await carol.send("quit")
    assert ann.received() == [
        {"code": "joined", "name": "bob"},
        {"code": "joined", "name": "carol"},
        {"code": "left", "name": "bob"},
        {"code": "left", "name": "carol"},
    ]


async def test_who_did_not_ask_hears_nothing_of_it(harness: ServiceHarness) -> None:
    ann, bob = await harness.register("ann"), await harness.client("bob")
    (await harness.register("carol")).lose_connection()
    assert ann.lines() == bob.lines() == []


async def test_nobody_hears_of_oneself(harness: ServiceHarness) -> None:
    ann = await harness.client("ann", presence=True)
    assert ann.received() == []
    ann.lose_connection()
    assert ann.lines() == []


async def test_unregistered_clients_come_and_go_unnoticed(harness: ServiceHarness) -> None:
    ann = await harness.client("ann", presence=True)
    harness.connect().lose_connection()
    assert ann.lines() == []


async def test_a_takeover_is_neither_coming_nor_going(harness: ServiceHarness) -> None:
    ann = await harness.client("ann", presence=True)
    bob = await harness.client("bob")
    ann.received()
    again = await harness.client("bob", token=bob.token)
    assert ann.lines() == []
    again.lose_connection()
    assert ann.received() == [{"code": "left", "name": "bob"}]


async def test_on_screen_it_is_a_line_with_a_star(harness: ServiceHarness) -> None:
    ann = harness.connect()
    await ann.hello(name="ann", format="text", presence=True)
    (await harness.register("bob")).lose_connection()
    assert ann.lines() == ["* bob joined", "* bob left"]
