"""Paging back through what was said."""

import json

import pytest

from tests.support.service_harness import Json, ServiceHarness


def ids(page: Json) -> list[int]:
    return [message["id"] for message in page["messages"]]


async def test_a_page_holds_the_newest_messages_oldest_first(harness: ServiceHarness) -> None:
    ann, bob = await harness.client("ann"), await harness.register("bob")
    await bob.broadcast("one", "two", "three")
    ann.lines()
    page = await ann.ask("history", limit=2, ref="h1")
    assert (page["code"], page["more"], page["ref"]) == ("history", True, "h1")
    assert page["messages"][-1] == {
        "code": "incoming_broadcast",
        "from": "bob",
        "content": "three",
        "id": 3,
        "sent": "2026-11-21T07:11:00.000000Z",
        "since": 0,
    }
    assert ids(page) == [2, 3]


async def test_pages_lead_back_to_the_beginning(harness: ServiceHarness) -> None:
    ann = await harness.client("ann")
    await (await harness.register("bob")).broadcast(*[f"{number}" for number in range(1, 8)])
    ann.lines()
    pages, before, more = [], 8, True
    while more:
        page = await ann.ask("history", before=before, limit=3)
        pages.append(ids(page))
        before, more = pages[-1][0], page["more"]
    assert pages == [[5, 6, 7], [2, 3, 4], [1]]


async def test_a_page_has_50_messages_unless_asked_otherwise(harness: ServiceHarness) -> None:
    ann = await harness.client("ann")
    await ann.broadcast(*["x"] * 60)
    assert ids(await ann.ask("history")) == list(range(11, 61))


async def test_directs_are_shown_to_both_with_the_recipients_name(harness: ServiceHarness) -> None:
    ann, bob, carol = [await harness.client(name) for name in ("ann", "bob", "carol")]
    await ann.send("outgoing", to="BOB", content="hi", ref="r1")
    for client in (ann, bob, carol):
        client.lines()
    seen = {
        "code": "incoming",
        "from": "ann",
        "content": "hi",
        "id": 1,
        "sent": "2026-11-21T07:11:00.000000Z",
        "since": 0,
        "ref": "r1",
        "to": "bob",
    }
    assert (await ann.ask("history"))["messages"] == [seen]
    assert (await bob.ask("history"))["messages"] == [seen]
    assert (await carol.ask("history"))["messages"] == []


async def test_ones_own_broadcasts_are_shown(harness: ServiceHarness) -> None:
    ann = await harness.client("ann")
    await ann.broadcast("mine")
    assert [message["from"] for message in (await ann.ask("history"))["messages"]] == ["ann"]


@pytest.mark.parametrize("text", ["x" * 60_000, "\x00" * 10_000, "€" * 20_000])
async def test_a_page_is_at_most_256_kib_and_says_that_there_is_more(
    harness: ServiceHarness, text: str
) -> None:
    ann = await harness.client("ann")
    await ann.broadcast(*[text] * 12)
    await ann.send("history")
    (line,) = ann.lines()
    assert 128 * 1024 < len(line.encode()) <= 256 * 1024
    page = json.loads(line)
    assert page["more"]
    assert ids(page) == list(range(13 - len(page["messages"]), 13))


async def test_a_message_that_fills_more_than_a_page_comes_alone(harness: ServiceHarness) -> None:
    ann = await harness.client("ann")
    await ann.broadcast("short", "x" * 300_000, "y" * 300_000)
    page = await ann.ask("history")
    assert (ids(page), page["more"]) == ([3], True)
    assert ids(await ann.ask("history", before=3)) == [2]


@pytest.mark.parametrize("limit", [0, 1001])
async def test_a_limit_out_of_range_is_refused(harness: ServiceHarness, limit: int) -> None:
    ann = await harness.client("ann")
    error = await ann.ask("history", limit=limit, ref="h1")
    assert (error["reason"], error["ref"]) == ("bad_field", "h1")


async def test_history_needs_version_1(harness: ServiceHarness) -> None:
    ann = await harness.register("ann")
    error = await ann.ask("history", ref="h1")
    assert (error["reason"], error["ref"]) == ("unsupported", "h1")
    assert '"version":1' in error["detail"]


async def test_a_page_counts_as_queued_as_soon_as_it_is_asked_for(harness: ServiceHarness) -> None:
    ann = await harness.client("ann")
    await ann.broadcast(*["x" * 60_000] * 4)
    ann.lines()
    await ann.send("history")
    assert ann.session.send_queue.size > 4 * 60_000
    await ann.send("history")
    assert ann.session.send_queue.is_above_high_water


async def test_with_name_and_token_it_is_for_the_owner_who_keeps_the_name(
    harness: ServiceHarness,
) -> None:
    ann, bob = await harness.client("ann"), await harness.client("bob")
    await bob.broadcast("to all")
    await bob.send("outgoing", to="ann", content="to ann")
    await ann.send("outgoing", to="bob", content="to bob")
    for client in (ann, bob):
        client.lines()
    page = await harness.connect().ask("history", name="ANN", token=ann.token, ref="h1")
    assert ([message["content"] for message in page["messages"]], page["ref"]) == (
        ["to all", "to ann", "to bob"],
        "h1",
    )
    assert {"id", "sent", "since"} <= page["messages"][0].keys()
    assert (await bob.ask("who"))["users"] == ["ann", "bob"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "hello_required"),
        ({"name": "ann"}, "bad_field"),
        ({"token": "a guess of eve's!"}, "bad_field"),
        ({"name": "ann", "token": "a guess of eve's!"}, "unauthorized"),
        ({"name": "nobody", "token": "a guess of eve's!"}, "unauthorized"),
    ],
)
async def test_without_a_hello_it_is_for_nobody_else(
    harness: ServiceHarness, fields: Json, reason: str
) -> None:
    await harness.client("ann")
    error = await harness.connect().ask("history", ref="h1", **fields)
    assert (error["code"], error["reason"], error["ref"]) == ("error", reason, "h1")


async def test_a_token_opens_one_name_only(harness: ServiceHarness) -> None:
    ann, bob = await harness.client("ann"), await harness.client("bob")
    error = await bob.ask("history", name="ann", token=bob.token)
    assert error["reason"] == "unauthorized"
    page = await bob.ask("history", name="ann", token=ann.token)
    assert page["code"] == "history"
