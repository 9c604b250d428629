"""Ids, times and acknowledgements: what version 1 adds to a message."""

import pytest

from tests.chatd.stage import ServiceHarness


async def test_a_delivery_has_its_id_and_its_times(harness: ServiceHarness) -> None:
    harness.clock.advance(10)
    ann, bob = await harness.client("ann"), await harness.client("bob")
    harness.clock.advance(3)
    await ann.send("outgoing", to="bob", content="hi")
    await ann.send("outgoing_broadcast", content="hey", ref="r1")
    assert bob.lines() == [
        '{"code":"incoming","from":"ann","content":"hi","id":1,'
        '"sent":"2026-11-21T07:11:13.000000Z","since":3}',
        '{"code":"incoming_broadcast","from":"ann","content":"hey","id":2,'
        '"sent":"2026-11-21T07:11:13.000000Z","since":3,"ref":"r1"}',
    ]


@pytest.mark.parametrize(("seconds", "since"), [(0.4, 0), (2.6, 3), (3.2, 3), (2.5, 2), (3.5, 4)])
async def test_since_is_rounded_to_whole_seconds(
    harness: ServiceHarness, seconds: float, since: int
) -> None:
    ann, bob = await harness.register("ann"), await harness.client("bob")
    harness.clock.advance(seconds)
    await ann.send("outgoing", to="bob", content="hi")
    assert [message["since"] for message in bob.received()] == [since]


async def test_since_counts_from_connecting_not_from_hello(harness: ServiceHarness) -> None:
    bob, ann = await harness.client("bob"), harness.connect()
    harness.clock.advance(5)
    await ann.hello(name="ann")
    await ann.send("outgoing_broadcast", content="hey")
    assert [message["since"] for message in bob.received()] == [5]


async def test_a_ref_is_acknowledged_once_the_message_is_in_the_log(
    harness: ServiceHarness,
) -> None:
    ann = await harness.client("ann")
    await ann.send("outgoing_broadcast", content="hey", ref="r1")
    assert ann.session.send_queue.take(1_000) == b""
    harness.scheduler.run()
    assert ann.lines() == ['{"code":"ack","ref":"r1","id":1}']


async def test_without_a_ref_there_is_no_answer(harness: ServiceHarness) -> None:
    ann, _ = await harness.client("ann"), await harness.client("bob")
    await ann.send("outgoing", to="bob", content="hi")
    await ann.send("outgoing_broadcast", content="hey")
    assert ann.lines() == []


async def test_the_same_ref_again_has_the_same_id_and_is_delivered_once(
    harness: ServiceHarness,
) -> None:
    ann, bob = await harness.client("ann"), await harness.client("bob")
    await ann.send("outgoing_broadcast", content="hi", ref="r1")
    await ann.send("outgoing_broadcast", content="hi", ref="r1")
    harness.scheduler.run()
    await ann.send("outgoing_broadcast", content="hi", ref="r1")
    duplicate = {"code": "ack", "ref": "r1", "id": 1, "duplicate": True}
    assert ann.received() == [{"code": "ack", "ref": "r1", "id": 1}, duplicate, duplicate]
    assert len(bob.received()) == 1


async def test_a_ref_counts_as_the_same_on_a_later_connection(harness: ServiceHarness) -> None:
    ann, bob = await harness.client("ann"), await harness.client("bob")
    await ann.send("outgoing", to="bob", content="hi", ref="r1")
    harness.scheduler.run()
    ann.lose_connection()
    again = await harness.client("ann", token=ann.token)
    answer = await again.ask("outgoing", to="bob", content="hi", ref="r1")
    assert answer == {"code": "ack", "ref": "r1", "id": 1, "duplicate": True}
    assert len(bob.received()) == 1


async def test_refs_of_two_identities_do_not_clash(harness: ServiceHarness) -> None:
    ann, bob = await harness.client("ann"), await harness.client("bob")
    await ann.send("outgoing_broadcast", content="from ann", ref="r1")
    await bob.send("outgoing_broadcast", content="from bob", ref="r1")
    assert [message["code"] for message in ann.received()] == ["ack", "incoming_broadcast"]
    assert [message["code"] for message in bob.received()] == ["incoming_broadcast", "ack"]


async def test_an_error_carries_the_ref(harness: ServiceHarness) -> None:
    ann = await harness.client("ann")
    error = await ann.ask("outgoing", to="nobody", content="hi", ref="r1")
    assert (error["reason"], error["ref"]) == ("no_such_user", "r1")


@pytest.mark.parametrize("ref", ["x" * 64, "ä" * 32, "🦉" * 16])
async def test_a_ref_has_up_to_64_bytes(harness: ServiceHarness, ref: str) -> None:
    ann = await harness.client("ann")
    assert (await ann.ask("outgoing_broadcast", content="hey", ref=ref))["ref"] == ref


@pytest.mark.parametrize("ref", ["", "x" * 65, "ä" * 33, "🦉" * 17])
async def test_a_longer_ref_or_an_empty_one_is_refused(harness: ServiceHarness, ref: str) -> None:
    ann = await harness.client("ann")
    error = await ann.ask("outgoing_broadcast", content="hey", ref=ref)
    assert (error["code"], error["reason"]) == ("error", "bad_field")
    assert harness.log.last == 0
