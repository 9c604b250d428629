"""Who gets which name: its rules, when it is taken, and what to do then."""

from typing import Any

import pytest

from tests.chatd.stage import Stage


async def test_a_taken_name_is_refused_with_a_free_suggestion(stage: Stage) -> None:
    await stage.hello("ann")
    await stage.hello("ann-2")
    error = await stage.enter().ask("hello", name="ann")
    assert (error["reason"], error["name"], error["suggestion"]) == ("name_taken", "ann", "ann-3")


async def test_whose_name_was_taken_may_say_hello_again(stage: Stage) -> None:
    await stage.hello("ann")
    other = stage.enter()
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
async def test_spellings_of_one_name_are_one_name(stage: Stage, taken: str, wanted: str) -> None:
    await stage.hello(taken)
    assert (await stage.enter().ask("hello", name=wanted))["reason"] == "name_taken"


async def test_a_name_is_shown_as_it_was_given_in_nfc(stage: Stage) -> None:
    jose = await stage.hello("Jose\u0301")
    assert (await jose.ask("who"))["users"] == ["José"]


@pytest.mark.parametrize(
    "name",
    ["", "x" * 65, "a\nb", "a|b", "#ann", " ann", "ann ", "*", "a\u202eb", "a\u200bb", "\x00"],
    ids=ascii,
)
async def test_a_name_against_the_rules_is_refused(stage: Stage, name: str) -> None:
    stranger = stage.enter()
    error = await stranger.ask("hello", name=name)
    assert (error["reason"], error["name"]) == ("bad_name", name)
    assert await stranger.ask("hello", name="ann") == {"code": "welcome"}


@pytest.mark.parametrize("name", ["x" * 64, "a b", "名前", "a#b", "**", "🦉"])
async def test_any_other_name_is_fine(stage: Stage, name: str) -> None:
    assert (await (await stage.hello(name)).ask("who"))["users"] == [name]


async def test_a_second_hello_is_refused_and_changes_nothing(stage: Stage) -> None:
    ann = await stage.hello("ann")
    error = await ann.ask("hello", name="bob", version=1)
    assert error["reason"] == "hello_repeated"
    assert "ann" in error["detail"]
    assert await ann.ask("who") == {"code": "users", "users": ["ann"]}


@pytest.mark.parametrize("fields", [{}, {"version": 1}])
async def test_only_the_text_format_goes_without_a_name(
    stage: Stage, fields: dict[str, Any]
) -> None:
    error = await stage.enter().ask("hello", **fields)
    assert error["reason"] == "bad_field"
    assert "name" in error["detail"]


@pytest.mark.parametrize("field", [{"token": "0123456789abcdef"}, {"after": 0}, {"presence": True}])
async def test_what_belongs_to_version_1_is_refused_without_it(
    stage: Stage, field: dict[str, Any]
) -> None:
    error = await stage.enter().ask("hello", name="ann", **field)
    assert error["reason"] == "bad_field"
    assert '"version":1' in error["detail"]


async def test_a_legacy_name_is_free_as_soon_as_its_bearer_left(stage: Stage) -> None:
    (await stage.hello("ann")).vanish()
    await stage.hello("ann")


async def test_version_1_is_welcomed_with_what_it_needs_to_come_back(stage: Stage) -> None:
    ann = await stage.member("Ann")
    assert ann.welcome == {
        "code": "welcome",
        "version": 1,
        "server": "chatd test",
        "name": "Ann",
        "token": ann.token,
        "log": stage.log.name,
        "last": 0,
        "max_line": 65_536,
        "max_inflight": 1_024,
    }
    assert len(ann.token) >= 32


async def test_a_later_version_is_answered_with_the_one_that_is_spoken(stage: Stage) -> None:
    ann = await stage.hello("ann", version=2)
    assert ann.welcome["version"] == 1


async def test_the_welcome_names_the_newest_message(stage: Stage) -> None:
    ann = await stage.hello("ann")
    await ann.say("outgoing_broadcast", content="one")
    await ann.say("outgoing_broadcast", content="two")
    stage.end_turn.run()
    assert (await stage.member("bob")).welcome["last"] == 2


async def test_what_is_committed_after_the_welcome_is_delivered(stage: Stage) -> None:
    ann = await stage.hello("ann")
    await ann.say("outgoing_broadcast", content="in the same turn")
    bob = stage.enter()
    await bob.say("hello", name="bob", version=1)
    welcome, incoming = bob.heard()
    assert (welcome["last"], incoming["id"]) == (0, 1)
