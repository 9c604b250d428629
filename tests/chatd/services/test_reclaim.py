"""A name and its token: who may come back to it, and for how long others may not have it."""

import asyncio

import pytest

from chatd.log.memory import MemoryLog
from chatd.log.port import NameOwner, StorageError
from chatd.session import Session
from tests.chatd.stage import DAY, Stage

OTHER_TOKEN = "x" * 32


async def test_the_token_takes_the_name_over_from_a_live_connection(stage: Stage) -> None:
    old, bob = await stage.member("ann"), await stage.hello("bob")
    new = await stage.member("ann", token=old.token)
    (farewell,) = old.heard()
    assert (farewell["reason"], farewell["name"]) == ("replaced", "ann")
    assert old.is_gone()
    await bob.say("outgoing", to="ann", content="which?")
    assert [message["content"] for message in new.heard()] == ["which?"]
    assert old.lines() == []
    assert (await bob.ask("who"))["users"] == ["bob", "ann"]


async def test_the_token_stays_the_same(stage: Stage) -> None:
    ann = await stage.member("ann")
    again = await stage.member("ann", token=ann.token)
    assert again.token == ann.token


async def test_whoever_names_a_token_first_holds_the_name_by_it(stage: Stage) -> None:
    (await stage.member("ann", token="chosen by ann herself")).vanish()
    assert (await stage.member("ann", token="chosen by ann herself")).session.is_registered


@pytest.mark.parametrize("is_online", [True, False])
async def test_a_wrong_token_is_unauthorized_with_a_suggestion(
    stage: Stage, is_online: bool
) -> None:
    ann = await stage.member("ann")
    if not is_online:
        ann.vanish()
    error = await stage.enter().ask("hello", name="ann", version=1, token=OTHER_TOKEN)
    assert (error["reason"], error["suggestion"]) == ("unauthorized", "ann-2")
    assert ann.is_gone() is not is_online
    assert (await stage.member("ann", token=ann.token)).session.is_registered


@pytest.mark.parametrize("fields", [{}, {"version": 1}, {"format": "text"}])
async def test_a_held_name_cannot_be_taken_without_the_token(
    stage: Stage, fields: dict[str, object]
) -> None:
    (await stage.member("ann")).vanish()
    error = await stage.enter().ask("hello", name="Ann", **fields)
    assert (error["reason"], error["suggestion"]) == ("name_taken", "Ann-2")
    assert "kept for its holder" in error["detail"]


async def test_a_suggestion_is_never_a_held_name(stage: Stage) -> None:
    for name in ("ann", "ann-2"):
        (await stage.member(name)).vanish()
    assert (await stage.enter().ask("hello", name="ann"))["suggestion"] == "ann-3"


async def test_the_name_is_kept_for_the_reservation_and_then_free(stage: Stage) -> None:
    ann = await stage.member("ann")
    stage.clock.advance(100 * DAY)
    ann.vanish()
    stage.clock.advance(7 * DAY)
    assert (await stage.enter().ask("hello", name="ann"))["reason"] == "name_taken"
    stage.clock.advance(1)
    await stage.hello("ann")


async def test_after_the_reservation_a_new_owner_has_a_token_and_an_identity_of_their_own(
    stage: Stage,
) -> None:
    old = await stage.member("ann")
    await old.say("outgoing_broadcast", content="hey", ref="r1")
    stage.end_turn.run()
    old.vanish()
    stage.clock.advance(8 * DAY)
    new = await stage.member("ann")
    assert new.token != old.token
    ack = await new.ask("outgoing_broadcast", content="hey", ref="r1")
    assert ack == {"code": "ack", "ref": "r1", "id": 2}
    error = await stage.enter().ask("hello", name="ann", version=1, token=old.token)
    assert error["reason"] == "unauthorized"


async def test_the_old_token_serves_after_the_reservation_if_nobody_came(stage: Stage) -> None:
    ann = await stage.member("ann")
    ann.vanish()
    stage.clock.advance(8 * DAY)
    again = await stage.member("ann", token=ann.token)
    assert again.session.identity == ann.session.identity


async def test_a_legacy_bearer_of_a_freed_name_is_not_replaced_by_its_old_token(
    stage: Stage,
) -> None:
    old = await stage.member("ann")
    old.vanish()
    stage.clock.advance(8 * DAY)
    bare = await stage.hello("ann")
    error = await stage.enter().ask("hello", name="ann", version=1, token=old.token)
    assert (error["reason"], error["suggestion"]) == ("name_taken", "ann-2")
    assert not bare.is_gone()


async def test_whoever_is_here_keeps_the_name_longer_than_the_reservation(stage: Stage) -> None:
    ann = await stage.member("ann")
    stage.clock.advance(8 * DAY)
    error = await stage.enter().ask("hello", name="ann", version=1, token=OTHER_TOKEN)
    assert error["reason"] == "unauthorized"
    ann.vanish()
    assert (await stage.member("ann", token=ann.token)).session.identity == ann.session.identity


async def test_a_guest_number_is_never_a_held_name(stage: Stage) -> None:
    (await stage.member("guest-1")).vanish()
    guest = stage.enter()
    await guest.hello(format="text")
    assert guest.session.name == "guest-2"


class SlowLog(MemoryLog[Session]):
    """Answers who holds a name after a while, like a log on a disk."""

    async def owner(self, key: str) -> NameOwner | None:
        await asyncio.sleep(1)
        return await super().owner(key)


async def test_who_leaves_while_the_log_is_asked_is_not_taken_in() -> None:
    stage = Stage(SlowLog)
    await stage.open()
    ann = stage.enter()
    arriving = await ann.begin("hello", name="ann", version=1)
    ann.vanish()
    await arriving
    assert len(stage.presence) == 0


async def test_the_reservation_of_one_who_was_here_for_long_does_not_end_with_a_kill(
    stage: Stage,
) -> None:
    """Now and then it is noted who is here; a kill leaves no time for more."""
    ann = await stage.member("ann")
    stage.clock.advance(6 * DAY)
    stage.registration.record_presence()
    stage.clock.advance(6 * DAY)
    stage.presence.leave(ann.session)
    error = await stage.enter().ask("hello", name="ann", version=1)
    assert (error["code"], error["reason"]) == ("error", "name_taken")


async def test_a_name_that_cannot_be_kept_is_not_given() -> None:
    class FullLog(MemoryLog[Session]):
        async def claim(self, owner: NameOwner, replacing: NameOwner | None) -> bool:
            raise StorageError("the disk is full")

    full = Stage(FullLog)
    await full.open()
    ann = full.enter()
    error = await ann.ask("hello", name="ann", version=1)
    assert (error["code"], error["reason"]) == ("error", "storage_failed")
    assert not ann.session.is_registered
    assert await ann.ask("hello", name="ann") == {"code": "welcome"}
