"""Who gets which name: its rules, when it is taken, and what to do then."""

from typing import Any

import pytest

from tests.chatd.stage import ServiceHarness


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
        "server": "chatd test",
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
