"""Chat as the original protocol has it: exactly these messages, not one field more."""

import json

import pytest

from common.messages.chat import Outgoing
from tests.chatd.stage import Stage


async def test_hello_is_answered_with_a_legacy_welcome(stage: Stage) -> None:
    ann = stage.enter()
    await ann.say("hello", name="ann")
    assert ann.lines() == ['{"code":"welcome"}']


async def test_who_lists_those_present_in_the_order_in_which_they_came(stage: Stage) -> None:
    await stage.hello("bob")
    ann = await stage.hello("ann")
    await ann.say("who")
    assert ann.lines() == ['{"code":"users","users":["bob","ann"]}']


async def test_who_forgets_those_who_left_and_learns_who_came(stage: Stage) -> None:
    ann, bob = await stage.hello("ann"), await stage.hello("bob")
    await ann.ask("who")
    bob.vanish()
    await stage.hello("carol")
    assert await ann.ask("who") == {"code": "users", "users": ["ann", "carol"]}


async def test_who_gives_the_ref_back(stage: Stage) -> None:
    ann = await stage.hello("ann")
    assert await ann.ask("who", ref="7") == {"code": "users", "users": ["ann"], "ref": "7"}


async def test_strangers_are_not_listed_and_do_not_hear_anything(stage: Stage) -> None:
    stranger = stage.enter()
    ann = await stage.hello("ann")
    await ann.say("outgoing_broadcast", content="hey")
    assert await ann.ask("who") == {"code": "users", "users": ["ann"]}
    assert stranger.lines() == []


async def test_a_message_for_one_reaches_that_one_alone(stage: Stage) -> None:
    ann, bob, carol = [await stage.hello(name) for name in ("ann", "bob", "carol")]
    await ann.say("outgoing", to="bob", content="hi")
    assert bob.lines() == ['{"code":"incoming","from":"ann","content":"hi"}']
    assert carol.lines() == ann.lines() == []


async def test_a_message_to_oneself_comes_back(stage: Stage) -> None:
    ann = await stage.hello("ann")
    await ann.say("outgoing", to="ann", content="note")
    assert ann.lines() == ['{"code":"incoming","from":"ann","content":"note"}']


async def test_a_broadcast_reaches_all_but_its_author(stage: Stage) -> None:
    ann, bob, carol = [await stage.hello(name) for name in ("ann", "bob", "carol")]
    await ann.say("outgoing_broadcast", content="hey")
    expected = ['{"code":"incoming_broadcast","from":"ann","content":"hey"}']
    assert bob.lines() == carol.lines() == expected
    assert ann.lines() == []


async def test_a_message_for_nobody_is_an_error_that_says_for_whom(stage: Stage) -> None:
    ann = await stage.hello("ann")
    error = await ann.ask("outgoing", to="bob", content="hi")
    assert (error["code"], error["reason"], error["to"]) == ("error", "no_such_user", "bob")


async def test_a_message_for_somebody_who_left_for_good_is_an_error(stage: Stage) -> None:
    ann, bob = await stage.hello("ann"), await stage.hello("bob")
    bob.vanish()
    assert (await ann.ask("outgoing", to="bob", content="hi"))["reason"] == "no_such_user"


async def test_messages_of_one_chunk_keep_their_order_whoever_they_are_for(stage: Stage) -> None:
    ann, bob = await stage.member("ann"), await stage.hello("bob")
    carol = await stage.member("carol")
    carol.vanish()  # and may come back, so that messages for her are kept
    said = [("bob", "1"), ("carol", "2"), ("bob", "3"), ("nobody", "4"), ("bob", "5")]
    await ann.say_line(
        "\n".join(
            json.dumps({"code": "outgoing", "to": to, "content": ref, "ref": ref})
            for to, ref in said
        )
    )
    assert [message["content"] for message in bob.heard()] == ["1", "3", "5"]
    answers = [(answer["code"], answer["ref"], answer.get("id")) for answer in ann.heard()]
    assert answers == [
        ("error", "4", None),
        ("ack", "1", 1),
        ("ack", "2", 2),
        ("ack", "3", 3),
        ("ack", "5", 4),
    ]


@pytest.mark.parametrize("spelling", ["José", "jose\u0301", "JOSÉ", "\uff4aosé"])
async def test_a_recipient_is_found_however_the_name_is_written(
    stage: Stage, spelling: str
) -> None:
    ann, jose = await stage.hello("ann"), await stage.hello("José")
    await ann.say("outgoing", to=spelling, content="hola")
    assert [message["content"] for message in jose.heard()] == ["hola"]


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
async def test_who_did_not_say_hello_is_told_to(stage: Stage, message: dict[str, str]) -> None:
    ann, stranger = await stage.hello("ann"), stage.enter()
    error = await stranger.ask(**message, ref="5")
    assert (error["reason"], error["ref"]) == ("hello_required", "5")
    assert '{"code":"hello","name":"…"}' in error["detail"]
    assert ann.lines() == []


async def test_quit_frees_the_name_and_closes(stage: Stage) -> None:
    ann, bob = await stage.hello("ann"), await stage.hello("bob")
    await bob.say("quit")
    assert bob.is_gone()
    assert await ann.ask("who") == {"code": "users", "users": ["ann"]}
    await stage.hello("bob")


async def test_a_stranger_may_quit_too(stage: Stage) -> None:
    stranger = stage.enter()
    await stranger.say("quit")
    assert stranger.is_gone()


async def test_nobody_waits_for_a_message_to_one_who_is_away_and_known(stage: Stage) -> None:
    ann, bob = await stage.member("ann"), await stage.member("bob")
    bob.vanish()
    message = Outgoing(to="bob", content="for later", ref="1")
    assert stage.router.serve(ann.session, [message]) is None
    assert [answer["code"] for answer in ann.heard()] == ["ack"]
    bob = await stage.member("bob", token=bob.token, after=0)
    (missed,) = (heard for heard in bob.heard() if heard["code"] == "incoming")
    assert missed["content"] == "for later"


async def test_quit_waits_until_what_was_said_before_is_in_the_log(stage: Stage) -> None:
    ann, bob = await stage.member("ann"), await stage.hello("bob")
    await ann.say("outgoing_broadcast", content="last words", ref="1")
    quitting = await ann.begin("quit")
    assert not ann.is_gone()
    assert [message["content"] for message in bob.heard()] == ["last words"]
    await quitting
    assert ann.is_gone()
    assert ann.heard() == [{"code": "ack", "ref": "1", "id": 1}]


async def test_refs_of_legacy_clients_are_not_answered(stage: Stage) -> None:
    ann, bob = await stage.hello("ann"), await stage.hello("bob")
    for _ in range(2):
        await ann.say("outgoing", to="bob", content="hi", ref="1")
    assert ann.lines() == []
    assert bob.lines() == 2 * ['{"code":"incoming","from":"ann","content":"hi"}']


async def test_legacy_and_version_1_clients_talk_to_each_other(stage: Stage) -> None:
    ann, bob = await stage.hello("ann"), await stage.member("bob")
    await bob.say("outgoing_broadcast", content="hey", ref="1")
    await ann.say("outgoing", to="bob", content="hi")
    assert ann.heard() == [{"code": "incoming_broadcast", "from": "bob", "content": "hey"}]
    assert [message["code"] for message in bob.heard()] == ["ack", "incoming"]
