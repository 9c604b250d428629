"""Chat as the original protocol has it: exactly these messages, not one field more.

Ids, times and acknowledgements: what version 1 adds to a message.
"""

import json

import pytest

from common.messages.chat import Outgoing
from tests.support.service_harness import ServiceHarness


async def test_hello_is_answered_with_a_legacy_welcome(harness: ServiceHarness) -> None:
    ann = harness.connect()
    await ann.send("hello", name="ann")
    assert ann.lines() == ['{"code":"welcome"}']


async def test_who_lists_those_present_in_the_order_in_which_they_came(
    harness: ServiceHarness,
) -> None:
    await harness.register("bob")
    ann = await harness.register("ann")
    await ann.send("who")
    assert ann.lines() == ['{"code":"users","users":["bob","ann"]}']


async def test_who_forgets_those_who_left_and_learns_who_came(harness: ServiceHarness) -> None:
    ann, bob = await harness.register("ann"), await harness.register("bob")
    await ann.ask("who")
    bob.lose_connection()
    await harness.register("carol")
    assert await ann.ask("who") == {"code": "users", "users": ["ann", "carol"]}


async def test_who_gives_the_ref_back(harness: ServiceHarness) -> None:
    ann = await harness.register("ann")
    assert await ann.ask("who", ref="7") == {"code": "users", "users": ["ann"], "ref": "7"}


async def test_unregistered_clients_are_not_listed_and_do_not_hear_anything(
    harness: ServiceHarness,
) -> None:
    client = harness.connect()
    ann = await harness.register("ann")
    await ann.send("outgoing_broadcast", content="hey")
    assert await ann.ask("who") == {"code": "users", "users": ["ann"]}
    assert client.lines() == []


async def test_a_message_for_one_reaches_that_one_alone(harness: ServiceHarness) -> None:
    ann, bob, carol = [await harness.register(name) for name in ("ann", "bob", "carol")]
    await ann.send("outgoing", to="bob", content="hi")
    assert bob.lines() == ['{"code":"incoming","from":"ann","content":"hi"}']
    assert carol.lines() == ann.lines() == []


async def test_a_message_to_oneself_comes_back(harness: ServiceHarness) -> None:
    ann = await harness.register("ann")
    await ann.send("outgoing", to="ann", content="note")
    assert ann.lines() == ['{"code":"incoming","from":"ann","content":"note"}']


async def test_a_broadcast_reaches_all_but_its_author(harness: ServiceHarness) -> None:
    ann, bob, carol = [await harness.register(name) for name in ("ann", "bob", "carol")]
    await ann.send("outgoing_broadcast", content="hey")
    expected = ['{"code":"incoming_broadcast","from":"ann","content":"hey"}']
    assert bob.lines() == carol.lines() == expected
    assert ann.lines() == []


async def test_a_message_for_nobody_is_an_error_that_says_for_whom(harness: ServiceHarness) -> None:
    ann = await harness.register("ann")
    error = await ann.ask("outgoing", to="bob", content="hi")
    assert (error["code"], error["reason"], error["to"]) == ("error", "no_such_user", "bob")


async def test_a_message_for_somebody_who_left_for_good_is_an_error(
    harness: ServiceHarness,
) -> None:
    ann, bob = await harness.register("ann"), await harness.register("bob")
    bob.lose_connection()
    assert (await ann.ask("outgoing", to="bob", content="hi"))["reason"] == "no_such_user"


async def test_messages_of_one_chunk_keep_their_order_whoever_they_are_for(
    harness: ServiceHarness,
) -> None:
    ann, bob = await harness.client("ann"), await harness.register("bob")
    carol = await harness.client("carol")
    carol.lose_connection()  # and may come back, so that messages for her are kept
    said = [("bob", "1"), ("carol", "2"), ("bob", "3"), ("nobody", "4"), ("bob", "5")]
    await ann.send_line(
        "\n".join(
            json.dumps({"code": "outgoing", "to": to, "content": ref, "ref": ref})
            for to, ref in said
        )
    )
    assert [message["content"] for message in bob.received()] == ["1", "3", "5"]
    answers = [(answer["code"], answer["ref"], answer.get("id")) for answer in ann.received()]
    assert answers == [
        ("error", "4", None),
        ("ack", "1", 1),
        ("ack", "2", 2),
        ("ack", "3", 3),
        ("ack", "5", 4),
    ]


@pytest.mark.parametrize("spelling", ["José", "jose\u0301", "JOSÉ", "\uff4aosé"])
async def test_a_recipient_is_found_however_the_name_is_written(
    harness: ServiceHarness, spelling: str
) -> None:
    ann, jose = await harness.register("ann"), await harness.register("José")
    await ann.send("outgoing", to=spelling, content="hola")
    assert [message["content"] for message in jose.received()] == ["hola"]


@pytest.mark.parametrize(
    "message",
    [
        {"code": "who"},
        {"code": "outgoing", "to": "ann", "content": "hi"},
        {"code": "outgoing_broadcast", "content": "hey"},
        {"code": "history"},
    ],
    ids=lambda message: str(message["code"]),
)
async def test_who_did_not_say_hello_is_asked_to(
    harness: ServiceHarness, message: dict[str, str]
) -> None:
    ann, client = await harness.register("ann"), harness.connect()
    error = await client.ask(**message, ref="5")
    assert (error["reason"], error["ref"]) == ("hello_required", "5")
    assert '{"code":"hello","name":"…"}' in error["detail"]
    assert ann.lines() == []


async def test_quit_frees_the_name_and_closes(harness: ServiceHarness) -> None:
    ann, bob = await harness.register("ann"), await harness.register("bob")
    await bob.send("quit")
    assert bob.is_closed()
    assert await ann.ask("who") == {"code": "users", "users": ["ann"]}
    await harness.register("bob")


async def test_an_unregistered_client_may_quit_too(harness: ServiceHarness) -> None:
    client = harness.connect()
    await client.send("quit")
    assert client.is_closed()


async def test_nobody_waits_for_a_message_to_one_who_is_away_and_known(
    harness: ServiceHarness,
) -> None:
    ann, bob = await harness.client("ann"), await harness.client("bob")
    bob.lose_connection()
    message = Outgoing(to="bob", content="for later", ref="1")
    assert harness.router.serve(ann.session, [message]) is None
    assert [answer["code"] for answer in ann.received()] == ["ack"]
    bob = await harness.client("bob", token=bob.token, after=0)
    (missed,) = (received for received in bob.received() if received["code"] == "incoming")
    assert missed["content"] == "for later"


async def test_quit_waits_until_what_was_said_before_is_in_the_log(harness: ServiceHarness) -> None:
    ann, bob = await harness.client("ann"), await harness.register("bob")
    await ann.send("outgoing_broadcast", content="last words", ref="1")
    quitting = await ann.start_sending("quit")
    assert not ann.is_closed()
    assert [message["content"] for message in bob.received()] == ["last words"]
    await quitting
    assert ann.is_closed()
    assert ann.received() == [{"code": "ack", "ref": "1", "id": 1}]


async def test_refs_of_legacy_clients_are_not_answered(harness: ServiceHarness) -> None:
    ann, bob = await harness.register("ann"), await harness.register("bob")
    for _ in range(2):
        await ann.send("outgoing", to="bob", content="hi", ref="1")
    assert ann.lines() == []
    assert bob.lines() == 2 * ['{"code":"incoming","from":"ann","content":"hi"}']


async def test_legacy_and_version_1_clients_talk_to_each_other(harness: ServiceHarness) -> None:
    ann, bob = await harness.register("ann"), await harness.client("bob")
    await bob.send("outgoing_broadcast", content="hey", ref="1")
    await ann.send("outgoing", to="bob", content="hi")
    assert ann.received() == [{"code": "incoming_broadcast", "from": "bob", "content": "hey"}]
    assert [message["code"] for message in bob.received()] == ["ack", "incoming"]


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
