"""A name and its token: who may come back to it, and for how long others may not have it."""

import asyncio

import pytest

from chatd.log.memory import MemoryLog
from chatd.log.port import NameOwner, StorageError
from chatd.session import Session
from tests.chatd.stage import DAY, ServiceHarness

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
    assert "kept for its holder" in error["detail"]


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
