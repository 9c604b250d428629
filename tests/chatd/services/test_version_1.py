"""Ids, times and acknowledgements: what version 1 adds to a message."""

import pytest

from tests.chatd.stage import Stage


async def test_a_delivery_has_its_id_and_its_times(stage: Stage) -> None:
    stage.clock.advance(10)
    ann, bob = await stage.member("ann"), await stage.member("bob")
    stage.clock.advance(3)
    await ann.say("outgoing", to="bob", content="hi")
    await ann.say("outgoing_broadcast", content="hey", ref="r1")
    assert bob.lines() == [
        '{"code":"incoming","from":"ann","content":"hi","id":1,'
        '"sent":"2026-11-21T07:11:13.000000Z","since":3}',
        '{"code":"incoming_broadcast","from":"ann","content":"hey","id":2,'
        '"sent":"2026-11-21T07:11:13.000000Z","since":3,"ref":"r1"}',
    ]


@pytest.mark.parametrize(("seconds", "since"), [(0.4, 0), (2.6, 3), (3.2, 3), (2.5, 2), (3.5, 4)])
async def test_since_is_rounded_to_whole_seconds(stage: Stage, seconds: float, since: int) -> None:
    ann, bob = await stage.hello("ann"), await stage.member("bob")
    stage.clock.advance(seconds)
    await ann.say("outgoing", to="bob", content="hi")
    assert [message["since"] for message in bob.heard()] == [since]


async def test_since_counts_from_connecting_not_from_hello(stage: Stage) -> None:
    bob, ann = await stage.member("bob"), stage.enter()
    stage.clock.advance(5)
    await ann.hello(name="ann")
    await ann.say("outgoing_broadcast", content="hey")
    assert [message["since"] for message in bob.heard()] == [5]


async def test_a_ref_is_acknowledged_once_the_message_is_in_the_log(stage: Stage) -> None:
    ann = await stage.member("ann")
    await ann.say("outgoing_broadcast", content="hey", ref="r1")
    assert ann.session.send_queue.take(1_000) == b""
    stage.end_turn.run()
    assert ann.lines() == ['{"code":"ack","ref":"r1","id":1}']


async def test_without_a_ref_there_is_no_answer(stage: Stage) -> None:
    ann, _ = await stage.member("ann"), await stage.member("bob")
    await ann.say("outgoing", to="bob", content="hi")
    await ann.say("outgoing_broadcast", content="hey")
    assert ann.lines() == []


async def test_the_same_ref_again_has_the_same_id_and_is_delivered_once(stage: Stage) -> None:
    ann, bob = await stage.member("ann"), await stage.member("bob")
    await ann.say("outgoing_broadcast", content="hi", ref="r1")
    await ann.say("outgoing_broadcast", content="hi", ref="r1")
    stage.end_turn.run()
    await ann.say("outgoing_broadcast", content="hi", ref="r1")
    duplicate = {"code": "ack", "ref": "r1", "id": 1, "duplicate": True}
    assert ann.heard() == [{"code": "ack", "ref": "r1", "id": 1}, duplicate, duplicate]
    assert len(bob.heard()) == 1


async def test_a_ref_counts_as_the_same_on_a_later_connection(stage: Stage) -> None:
    ann, bob = await stage.member("ann"), await stage.member("bob")
    await ann.say("outgoing", to="bob", content="hi", ref="r1")
    stage.end_turn.run()
    ann.vanish()
    again = await stage.member("ann", token=ann.token)
    answer = await again.ask("outgoing", to="bob", content="hi", ref="r1")
    assert answer == {"code": "ack", "ref": "r1", "id": 1, "duplicate": True}
    assert len(bob.heard()) == 1


async def test_refs_of_two_identities_do_not_clash(stage: Stage) -> None:
    ann, bob = await stage.member("ann"), await stage.member("bob")
    await ann.say("outgoing_broadcast", content="from ann", ref="r1")
    await bob.say("outgoing_broadcast", content="from bob", ref="r1")
    assert [message["code"] for message in ann.heard()] == ["ack", "incoming_broadcast"]
    assert [message["code"] for message in bob.heard()] == ["incoming_broadcast", "ack"]


async def test_an_error_carries_the_ref(stage: Stage) -> None:
    ann = await stage.member("ann")
    error = await ann.ask("outgoing", to="nobody", content="hi", ref="r1")
    assert (error["reason"], error["ref"]) == ("no_such_user", "r1")


@pytest.mark.parametrize("ref", ["x" * 64, "ä" * 32, "🦉" * 16])
async def test_a_ref_has_up_to_64_bytes(stage: Stage, ref: str) -> None:
    ann = await stage.member("ann")
    assert (await ann.ask("outgoing_broadcast", content="hey", ref=ref))["ref"] == ref


@pytest.mark.parametrize("ref", ["", "x" * 65, "ä" * 33, "🦉" * 17])
async def test_a_longer_ref_or_an_empty_one_is_refused(stage: Stage, ref: str) -> None:
    ann = await stage.member("ann")
    error = await ann.ask("outgoing_broadcast", content="hey", ref=ref)
    assert (error["code"], error["reason"]) == ("error", "bad_field")
    assert stage.log.last == 0
