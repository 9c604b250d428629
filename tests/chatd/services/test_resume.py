"""Coming back: what was missed, in order, and then what comes, without a seam."""

from collections.abc import Sequence

import pytest

from chatd.messagelog.base import Page
from chatd.messagelog.memory import MemoryLog
from tests.support.service_harness import Json, ServiceHarness


def contents(messages: Sequence[Json]) -> list[str]:
    return [message["content"] for message in messages if "content" in message]


async def test_who_comes_back_gets_what_was_missed_in_order(harness: ServiceHarness) -> None:
    ann, bob = await harness.client("ann"), await harness.register("bob")
    await bob.broadcast("seen")
    ann.lose_connection()
    await bob.broadcast("one", "two")
    await bob.send("outgoing", to="ann", content="three")
    bob.lines()
    again = await harness.client("ann", token=ann.token, after=1)
    assert again.received() == [
        {
            "code": "incoming_broadcast",
            "from": "bob",
            "content": "one",
            "id": 2,
            "sent": "2026-11-21T07:11:00.000000Z",
            "since": 0,
        },
        {
            "code": "incoming_broadcast",
            "from": "bob",
            "content": "two",
            "id": 3,
            "sent": "2026-11-21T07:11:00.000000Z",
            "since": 0,
        },
        {
            "code": "incoming",
            "from": "bob",
            "content": "three",
            "id": 4,
            "sent": "2026-11-21T07:11:00.000000Z",
            "since": 0,
        },
        {"code": "resumed", "count": 3, "last": 4, "gap": False},
    ]


async def test_ones_own_messages_and_those_of_others_to_others_are_not_replayed(
    harness: ServiceHarness,
) -> None:
    ann, bob, _ = [await harness.client(name) for name in ("ann", "bob", "carol")]
    await ann.broadcast("my own")
    await ann.send("outgoing", to="bob", content="mine to bob")
    await bob.send("outgoing", to="carol", content="not mine")
    harness.scheduler.run()
    ann.lose_connection()
    again = await harness.client("ann", token=ann.token, after=0)
    assert again.received() == [{"code": "resumed", "count": 0, "last": 3, "gap": False}]


async def test_a_message_waits_for_an_absent_owner_of_a_token(harness: ServiceHarness) -> None:
    ann, bob = await harness.client("Ann"), await harness.client("bob")
    ann.lose_connection()
    assert await bob.ask("outgoing", to="ann", content="psst", ref="1") == {
        "code": "ack",
        "ref": "1",
        "id": 1,
    }
    again = await harness.client("Ann", token=ann.token, after=0)
    assert contents(again.received()) == ["psst"]


async def test_who_does_not_ask_for_it_gets_no_replay(harness: ServiceHarness) -> None:
    ann, bob = await harness.client("ann"), await harness.register("bob")
    ann.lose_connection()
    await bob.broadcast("missed")
    again = await harness.client("ann", token=ann.token)
    assert again.received() == []


async def test_a_newcomer_may_ask_for_what_is_kept(harness: ServiceHarness) -> None:
    bob = await harness.register("bob")
    await bob.broadcast("one", "two")
    ann = await harness.client("ann", after=0)
    assert contents(ann.received()) == ["one", "two"]


async def test_a_gap_is_reported_with_the_oldest_id_that_is_kept() -> None:
    harness = ServiceHarness(keep_messages=3)
    await harness.open()
    bob = await harness.register("bob")
    await bob.broadcast("one", "two", "three", "four", "five")
    ann = await harness.client("ann", after=1)
    gap, *replay, resumed = ann.received()
    assert gap == {"code": "gap", "first": 3}
    assert contents(replay) == ["three", "four", "five"]
    assert resumed == {"code": "resumed", "count": 3, "last": 5, "gap": True, "first": 3}


async def test_there_is_no_gap_when_the_first_one_missed_is_the_oldest_kept() -> None:
    harness = ServiceHarness(keep_messages=3)
    await harness.open()
    await (await harness.register("bob")).broadcast("one", "two", "three", "four", "five")
    ann = await harness.client("ann", after=2)
    assert ann.received()[-1] == {"code": "resumed", "count": 3, "last": 5, "gap": False}


async def test_an_id_that_the_log_never_gave_is_a_gap(harness: ServiceHarness) -> None:
    await (await harness.register("bob")).broadcast("one")
    ann = await harness.client("ann", after=7)
    assert ann.received() == [{"code": "resumed", "count": 0, "last": 1, "gap": True, "first": 1}]


@pytest.mark.parametrize("after", [0, 1])
async def test_whoever_missed_nothing_learns_so(harness: ServiceHarness, after: int) -> None:
    ann = await harness.client("ann")
    await ann.broadcast("one")
    again = await harness.client("ann", token=ann.token, after=after)
    assert again.received() == [{"code": "resumed", "count": 0, "last": 1, "gap": False}]


async def test_live_deliveries_never_overtake_the_replay(harness: ServiceHarness) -> None:
    bob, ann = await harness.register("bob"), harness.connect()
    await bob.broadcast("one", "two")
    ann.stop_reading()
    resuming = await ann.start_sending("hello", name="ann", version=1, after=0)
    await bob.broadcast("three")
    await bob.send("outgoing", to="ann", content="four")
    assert contents(ann.received()) == ["one", "two"]
    ann.resume_reading()
    await resuming
    await bob.broadcast("five")
    received = ann.received()
    assert contents(received) == ["three", "four", "five"]
    assert [message["code"] for message in received] == [
        "incoming_broadcast",
        "incoming",
        "resumed",
        "incoming_broadcast",
    ]
    assert received[2] == {"code": "resumed", "count": 4, "last": 4, "gap": False}


async def test_what_is_committed_in_every_pause_of_a_replay_comes_once_and_in_order(
    harness: ServiceHarness,
) -> None:
    bob, ann = await harness.register("bob"), harness.connect()
    await bob.broadcast(*[f"{number}" for number in range(1_500)])
    ann.stop_reading()
    resuming = await ann.start_sending("hello", name="ann", version=1, after=0)
    received: list[Json] = []
    for number in range(1_500, 1_510):
        await bob.broadcast(f"{number}")
        received += ann.received()
        await ann.read_once()
    ann.resume_reading()
    await resuming
    await bob.broadcast("1510")
    received += ann.received()
    assert contents(received) == [f"{number}" for number in range(1_511)]


async def test_what_retention_drops_during_a_replay_is_a_gap() -> None:
    harness = ServiceHarness(keep_messages=3)
    await harness.open()
    bob, ann = await harness.register("bob"), harness.connect()
    await bob.broadcast("one")
    ann.stop_reading()
    resuming = await ann.start_sending("hello", name="ann", version=1, after=0)
    await bob.broadcast(*[f"{number}" for number in range(2, 10)])
    ann.resume_reading()
    await resuming
    *replay, resumed = ann.received()[1:]
    assert contents(replay) == ["one", "7", "8", "9"]
    assert replay[1] == {"code": "gap", "first": 7}
    assert resumed == {"code": "resumed", "count": 4, "last": 9, "gap": True, "first": 7}


async def test_what_retention_drops_while_its_page_is_read_is_not_sent_behind_the_gap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    harness = ServiceHarness(keep_messages=3)
    await harness.open()
    bob = await harness.register("bob")
    await bob.broadcast("one", "two", "three")
    read = harness.log.replay

    async def read_before_more_arrive(reader: int, after: int, through: int) -> Page:
        page = await read(reader, after, through)
        monkeypatch.undo()
        await bob.broadcast("four", "five")
        return page

    monkeypatch.setattr(harness.log, "replay", read_before_more_arrive)
    ann = await harness.client("ann", after=0)

    gap, *replay, resumed = ann.received()
    assert gap == {"code": "gap", "first": 3}
    assert contents(replay) == ["three", "four", "five"]
    assert resumed == {"code": "resumed", "count": 3, "last": 5, "gap": True, "first": 3}


async def test_whoever_leaves_during_a_replay_is_gone(harness: ServiceHarness) -> None:
    bob, ann = await harness.register("bob"), harness.connect()
    await bob.broadcast("one")
    ann.stop_reading()
    resuming = await ann.start_sending("hello", name="ann", version=1, after=0)
    ann.lose_connection()
    ann.resume_reading()
    await resuming
    ann.received()
    await bob.broadcast("two")
    assert ann.received() == []
    assert (await bob.ask("who"))["users"] == ["bob"]


async def test_a_long_replay_waits_whenever_there_is_much_to_write(harness: ServiceHarness) -> None:
    bob, ann = await harness.register("bob"), harness.connect()
    await bob.broadcast(*["x" * 60_000 for _ in range(20)])
    ann.stop_reading()
    resuming = await ann.start_sending("hello", name="ann", version=1, after=0)
    assert len(ann.session.send_queue.take(10**9)) < 400_000
    ann.resume_reading()
    await resuming
    assert ann.received()[-1]["count"] == 20


async def test_the_newest_id_replayed_counts_as_handed_over(harness: ServiceHarness) -> None:
    bob = await harness.register("bob")
    await bob.broadcast("one", "two")
    ann = await harness.client("ann", after=0)
    assert ann.session.send_queue.last_sent_id == 2


async def test_an_id_of_another_log_means_all_of_this_one_and_is_a_gap(
    harness: ServiceHarness,
) -> None:
    ann, bob = await harness.client("ann"), await harness.register("bob")
    ann.lose_connection()
    await bob.broadcast("one", "two")
    again = await harness.client("ann", token=ann.token, after=2, log="another")
    received = again.received()
    assert contents(received) == ["one", "two"]
    assert received[-1] == {"code": "resumed", "count": 2, "last": 2, "gap": True, "first": 1}


@pytest.mark.parametrize(
    ("after", "begins", "replayed"), [(3, 2, ["three"]), (1, 1, ["two", "three"])]
)
async def test_who_stood_in_a_log_that_this_one_goes_on_from_gets_what_is_not_common_to_both(
    harness: ServiceHarness, after: int, begins: int, replayed: list[str]
) -> None:
    assert isinstance(harness.log, MemoryLog)
    harness.log.earlier_epochs = {"before": 2}
    ann, bob = await harness.client("ann"), await harness.register("bob")
    ann.lose_connection()
    await bob.broadcast("one", "two", "three")
    again = harness.connect()
    await again.send("hello", name="ann", version=1, token=ann.token, after=after, log="before")
    welcome, *received, resumed = again.received()
    assert (welcome["log"], welcome["last"], welcome["after"]) == (harness.log.name, 3, begins)
    assert contents(received) == replayed
    assert resumed == {
        "code": "resumed", "count": len(replayed), "last": 3, "gap": True, "first": 1
    }  # fmt: skip


async def test_an_id_of_this_log_may_say_so(harness: ServiceHarness) -> None:
    ann, bob = await harness.client("ann"), await harness.register("bob")
    ann.lose_connection()
    await bob.broadcast("one", "two")
    again = await harness.client("ann", token=ann.token, after=1, log=harness.log.name)
    assert contents(again.received()) == ["two"]
