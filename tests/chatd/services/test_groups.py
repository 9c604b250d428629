"""Groups: entries that die with their connection, a ticket for each, and their limits."""

from typing import Any

import pytest

from tests.support.service_harness import FakeClient, Json, ServiceHarness


async def share(client: FakeClient, identity: str = "1", **fields: Any) -> Json:
    """Enter a group and return the answer."""
    defaults = {"group": "run", "port": 4000, "size": 10, "digest": "d", "ref": "r"}
    return await client.ask("share", id=identity, **{**defaults, **fields})


def entry(client: FakeClient, identity: str = "1", **fields: Any) -> Json:
    """Return how others see who entered with `share`."""
    host = client.session.host
    return {"id": identity, "host": host, "port": 4000, "size": 10, "digest": "d", **fields}


async def test_who_shares_learns_the_group_and_its_secret(harness: ServiceHarness) -> None:
    ann, bob = harness.connect(), harness.connect()
    await share(ann, "1")
    assert await share(bob, "2") == {
        "code": "peers",
        "group": "run",
        "peers": [entry(ann, "1"), entry(bob, "2")],
        "ticket": "secret 1",
        "ref": "r",
    }


async def test_without_a_ref_there_is_no_answer_and_peers_asks_for_one(
    harness: ServiceHarness,
) -> None:
    ann = harness.connect()
    await ann.send("share", group="run", id="1", port=4000, size=10, digest="d")
    assert ann.received() == []
    assert await ann.ask("peers", group="run") == {
        "code": "peers",
        "group": "run",
        "peers": [entry(ann)],
        "ticket": "secret 1",
    }


async def test_the_secret_is_not_sent_to_who_only_asks(harness: ServiceHarness) -> None:
    ann, eve = harness.connect(), harness.connect()
    await share(ann)
    await share(eve, group="another")
    answer = await eve.ask("peers", group="run")
    assert answer["peers"] == [entry(ann)]
    assert "ticket" not in answer


async def test_a_group_that_nobody_is_in_has_no_peers(harness: ServiceHarness) -> None:
    assert await harness.connect().ask("peers", group="run") == {
        "code": "peers",
        "group": "run",
        "peers": [],
    }


async def test_a_member_leaves_with_its_connection(harness: ServiceHarness) -> None:
    ann, bob = harness.connect(), harness.connect()
    await share(ann, "1")
    await share(bob, "2")
    ann.lose_connection()
    assert (await bob.ask("peers", group="run"))["peers"] == [entry(bob, "2")]


async def test_a_group_that_comes_up_again_has_another_secret(harness: ServiceHarness) -> None:
    ann, bob = harness.connect(), harness.connect()
    before = await share(ann)
    ann.lose_connection()
    assert (await share(bob))["ticket"] != before["ticket"]


async def test_groups_are_apart(harness: ServiceHarness) -> None:
    ann, bob = harness.connect(), harness.connect()
    one, other = await share(ann, group="one"), await share(bob, group="other")
    assert [peer["host"] for peer in one["peers"]] == [ann.session.host]
    assert [peer["host"] for peer in other["peers"]] == [bob.session.host]
    assert one["ticket"] != other["ticket"]


async def test_who_asked_for_presence_hears_who_comes_and_who_goes(harness: ServiceHarness) -> None:
    ann, bob, eve = harness.connect(), harness.connect(), harness.connect()
    await share(ann, "1", presence=True)
    await share(bob, "2")
    await share(eve, "3", group="another")
    bob.lose_connection()
    assert ann.received() == [
        {"code": "peer_joined", "group": "run", "peer": entry(bob, "2")},
        {"code": "peer_left", "group": "run", "id": "2"},
    ]


async def test_who_did_not_ask_for_presence_hears_nothing_of_it(harness: ServiceHarness) -> None:
    ann, bob = harness.connect(), harness.connect()
    await share(ann, "1")
    await share(bob, "2")
    assert ann.received() == []


async def test_another_share_takes_the_place_of_the_first(harness: ServiceHarness) -> None:
    ann, bob = harness.connect(), harness.connect()
    await share(ann, "1", presence=True)
    await share(bob, "2")
    moved = await share(bob, "2", port=5000)
    assert moved["peers"] == [entry(ann, "1"), entry(bob, "2", port=5000)]
    await share(bob, "2", group="another")
    assert [message["code"] for message in ann.received()] == [
        *("peer_joined", "peer_left"),
        *("peer_joined", "peer_left"),
    ]


@pytest.mark.parametrize("identity", ["Ann", "ann", "\uff21\uff2e\uff2e"])
async def test_an_id_that_is_taken_is_refused_with_a_free_one(
    harness: ServiceHarness, identity: str
) -> None:
    ann, bob = harness.connect(), harness.connect()
    await share(ann, "ann")
    error = await share(bob, identity)
    assert (error["reason"], error["ref"]) == ("name_taken", "r")
    assert error["suggestion"] == f"{identity}-2"
    assert (await share(bob, error["suggestion"]))["code"] == "peers"


async def test_a_refusal_keeps_the_membership_from_before(harness: ServiceHarness) -> None:
    ann, bob = harness.connect(), harness.connect()
    await share(ann, "1")
    await share(bob, "2")
    assert (await share(bob, "1"))["reason"] == "name_taken"
    assert (await ann.ask("peers", group="run"))["peers"] == [entry(ann, "1"), entry(bob, "2")]


async def test_a_full_group_takes_nobody_but_who_is_in_it(harness: ServiceHarness) -> None:
    inside = [harness.connect() for _ in range(3)]
    for number, client in enumerate(inside):
        await share(client, str(number))
    error = await share(harness.connect(), "one more")
    assert error["reason"] == "too_many_requests"
    assert "3 peers" in error["detail"]
    assert (await share(inside[0], "another name"))["code"] == "peers"


async def test_there_are_no_more_groups_than_allowed(harness: ServiceHarness) -> None:
    first, second, third = harness.connect(), harness.connect(), harness.connect()
    await share(first, group="one")
    await share(second, group="two")
    assert (await share(third, group="three"))["reason"] == "too_many_requests"
    first.lose_connection()
    assert (await share(third, group="three"))["code"] == "peers"


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"id": "../1"}, "an id must not contain /"),
        ({"id": ".hidden"}, "begin with a dot"),
        ({"id": "x" * 65}, "at field id"),
        ({"group": ""}, "at field group"),
        ({"group": "g" * 65}, "at field group"),
        ({"group": "a\x1b[2J"}, "contains control characters"),
        ({"port": 0}, "at field port"),
        ({"port": 65536}, "at field port"),
        ({"size": -1}, "at field size"),
        ({"digest": "d" * 129}, "at field digest"),
    ],
)
async def test_a_field_that_cannot_be_is_named(
    harness: ServiceHarness, fields: Json, detail: str
) -> None:
    error = await share(harness.connect(), fields.pop("id", "1"), **fields)
    assert (error["reason"], error["ref"]) == ("bad_field", "r")
    assert detail in error["detail"]
