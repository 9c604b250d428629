"""Exchanges on a clock that a test moves: no sockets, no files, no waiting."""

import logging
from typing import Final

import pytest

from chatd.services.timestamp.service import GRACE
from tests.support.service_harness import FakeClient, Json, ServiceHarness

NOW: Final = "2026-11-21T07:11:00.000000Z"
MS: Final = 1_000_000


def pass_time(harness: ServiceHarness, seconds: float) -> None:
    """Let time pass, a timer at a time."""
    harness.clock.advance(seconds)


def stall(harness: ServiceHarness, seconds: float) -> None:
    """Let time pass at once, as for a loop that was held up."""
    harness.clock.stall(seconds)


async def exchange(
    harness: ServiceHarness,
    *,
    interval_ms: float = 10,
    duration_s: float = 0.05,
    identity: str = "1",
) -> FakeClient:
    """Let somebody connect and begin an exchange."""
    client = harness.connect()
    fields = {"id": identity, "interval_ms": interval_ms, "duration_s": duration_s}
    assert await client.ask("exchange", **fields) == {"code": "exchange", **fields}
    return client


async def stamp(client: FakeClient, n: int, sent: str = NOW) -> None:
    await client.send("stamp", n=n, sent=sent)


def numbers(received: list[Json]) -> list[int]:
    assert {message["code"] for message in received} <= {"stamp"}
    return [message["n"] for message in received]


async def test_a_stamp_comes_at_every_interval_and_not_one_more(harness: ServiceHarness) -> None:
    client = await exchange(harness)
    for n in range(1, 6):
        pass_time(harness, 0.009)
        assert numbers(client.received()) == []
        pass_time(harness, 0.001)
        assert numbers(client.received()) == [n]
    pass_time(harness, 1.0)
    assert numbers(client.received()) == []


async def test_a_stamp_tells_when_it_was_sent(harness: ServiceHarness) -> None:
    client = await exchange(harness)
    pass_time(harness, 0.02)
    assert client.received() == [
        {"code": "stamp", "n": 1, "sent": "2026-11-21T07:11:00.010000Z"},
        {"code": "stamp", "n": 2, "sent": "2026-11-21T07:11:00.020000Z"},
    ]


async def test_a_stamp_tells_the_newest_that_came_and_when_it_was_read(
    harness: ServiceHarness,
) -> None:
    client = await exchange(harness)
    pass_time(harness, 0.003)
    await stamp(client, 1)
    await stamp(client, 2)
    pass_time(harness, 0.017)
    assert [(message["heard"], message["heard_at"]) for message in client.received()] == [
        (2, "2026-11-21T07:11:00.003000Z"),
        (2, "2026-11-21T07:11:00.003000Z"),
    ]


async def test_after_a_stall_what_is_overdue_is_sent_at_once_and_the_schedule_stays(
    harness: ServiceHarness,
) -> None:
    client = await exchange(harness, duration_s=0.1)
    pass_time(harness, 0.01)
    stall(harness, 0.045)
    late = client.received()
    assert numbers(late) == [1, 2, 3, 4, 5]
    assert {message["sent"][-8:] for message in late[1:]} == {".055000Z"}
    pass_time(harness, 0.005)
    assert numbers(client.received()) == [6]


async def test_lateness_is_counted_and_logged(
    harness: ServiceHarness, caplog: pytest.LogCaptureFixture
) -> None:
    client = await exchange(harness, duration_s=0.1)
    pass_time(harness, 0.02)
    stall(harness, 0.035)
    pass_time(harness, 0.05)
    with caplog.at_level(logging.INFO):
        await client.send("exchange_end")
    # Stamps 3, 4 and 5 were 25, 15 and 5 ms late.
    assert (
        "exchange 1 is complete: 10 of 10 sent, 0 received, 0 rows not written; "
        "3 late, lateness in ms: median 0.00, p99 25.00, max 25.00"
    ) in caplog.text


async def test_exchanges_are_spread_over_the_interval(harness: ServiceHarness) -> None:
    clients = [await exchange(harness, duration_s=1) for _ in range(3)]
    pass_time(harness, 0.01)
    assert [numbers(client.received()) for client in clients] == [[1], [], []]
    pass_time(harness, 0.001)
    assert [numbers(client.received()) for client in clients] == [[], [1], []]
    pass_time(harness, 0.001)
    assert [numbers(client.received()) for client in clients] == [[], [], [1]]


@pytest.mark.parametrize(("interval_ms", "count"), [(1, 300), (2.5, 120), (7, 43), (0.3e3, 1)])
async def test_every_stamp_of_an_odd_interval_is_sent_never_too_early(
    harness: ServiceHarness, interval_ms: float, count: int
) -> None:
    client = await exchange(harness, interval_ms=interval_ms, duration_s=0.3)
    sent: dict[int, int] = {}
    for ms in range(1, 320):
        pass_time(harness, 0.001)
        sent |= dict.fromkeys(numbers(client.received()), ms)
    assert list(sent) == list(range(1, count + 1))
    assert all(0 <= ms - n * interval_ms < 1 for n, ms in sent.items())


async def test_both_directions_go_to_the_file_as_the_senders_dated_them(
    harness: ServiceHarness,
) -> None:
    client = await exchange(harness)
    await stamp(client, 1, "2026-11-21T07:10:59.999000Z")
    pass_time(harness, 0.01)
    assert harness.time_file.rows == [
        "192.0.2.1 | 192.0.2.254 | 2026-11-21T07:10:59.999000Z",
        "192.0.2.254 | 192.0.2.1 | 2026-11-21T07:11:00.010000Z",
    ]


async def test_the_end_is_answered_with_the_counts(harness: ServiceHarness) -> None:
    client = await exchange(harness)
    await stamp(client, 1)
    await stamp(client, 2)
    pass_time(harness, 0.05)
    client.received()
    assert await client.ask("exchange_end") == {"code": "exchange_end", "sent": 5, "received": 2}
    assert harness.time_file.ends == [(50 * MS, False)]


async def test_rows_that_were_not_written_are_reported(harness: ServiceHarness) -> None:
    client = await exchange(harness)
    pass_time(harness, 0.05)
    client.received()
    harness.time_file.lost = 3
    assert (await client.ask("exchange_end"))["unwritten"] == 3


async def test_an_early_end_breaks_the_block_off(harness: ServiceHarness) -> None:
    client = await exchange(harness)
    pass_time(harness, 0.025)
    client.received()
    assert await client.ask("exchange_end") == {"code": "exchange_end", "sent": 2, "received": 0}
    assert harness.time_file.ends == [(25 * MS, True)]
    pass_time(harness, 1.0)
    assert client.received() == []


async def test_a_lost_connection_breaks_the_block_off(harness: ServiceHarness) -> None:
    client = await exchange(harness)
    pass_time(harness, 0.025)
    client.lose_connection()
    assert harness.time_file.ends == [(25 * MS, True)]
    assert len(harness.wheel) == 0


async def test_stamps_may_come_a_while_after_the_last_of_the_server(
    harness: ServiceHarness,
) -> None:
    client = await exchange(harness)
    pass_time(harness, 0.05 + GRACE - 0.1)
    await stamp(client, 1)
    pass_time(harness, 0.2)
    assert harness.time_file.ends == [(50 * MS, False)]
    await stamp(client, 2)
    client.received()
    assert (await client.ask("exchange_end"))["received"] == 1


async def test_one_block_holds_all_exchanges_that_overlap(harness: ServiceHarness) -> None:
    first = await exchange(harness, duration_s=0.05)
    pass_time(harness, 0.02)
    second = await exchange(harness, duration_s=0.05)
    pass_time(harness, 0.1)
    for client in (first, second):
        await client.send("exchange_end")
    assert len(harness.time_file.blocks) == 1
    assert harness.time_file.ends == [(120 * MS, False)]
    await exchange(harness)
    assert len(harness.time_file.blocks) == 2


async def test_the_place_of_one_that_ended_is_free_again(harness: ServiceHarness) -> None:
    clients = [await exchange(harness) for _ in range(3)]
    fourth = harness.connect()
    fields = {"id": "4", "interval_ms": 10, "duration_s": 1}
    refused = await fourth.ask("exchange", **fields)
    assert refused["reason"] == "too_many_requests"
    assert refused["detail"] == "all 3 exchanges are in use; try again later"
    clients[0].lose_connection()
    assert (await fourth.ask("exchange", **fields))["code"] == "exchange"


async def test_a_client_may_begin_again_after_the_end(harness: ServiceHarness) -> None:
    client = await exchange(harness)
    pass_time(harness, 0.05)
    await client.send("exchange_end")
    client.received()
    await client.send("exchange", id="1", interval_ms=10, duration_s=0.02)
    pass_time(harness, 0.03)
    assert numbers(client.received()[1:]) == [1, 2]


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"interval_ms": 0.5}, "interval_ms must be between 1ms and 1h"),
        ({"interval_ms": 0}, "interval_ms must be between 1ms and 1h"),
        ({"interval_ms": -10}, "interval_ms must be between 1ms and 1h"),
        ({"interval_ms": 1e300}, "interval_ms must be between 1ms and 1h"),
        ({"duration_s": 3601}, "duration_s must be between one interval and 1h"),
        ({"duration_s": 0.005}, "duration_s must be between one interval and 1h"),
        ({"id": "../1"}, "an id must not contain /, \\ or control characters"),
        ({"id": ""}, "an id must have 1 to 64 characters, this one has 0"),
    ],
)
async def test_what_is_out_of_range_is_refused_with_the_range(
    harness: ServiceHarness, fields: Json, detail: str
) -> None:
    client = harness.connect()
    refused = await client.ask(
        "exchange", **{"id": "1", "interval_ms": 10, "duration_s": 1} | fields
    )
    assert (refused["reason"], refused["detail"]) == ("bad_field", f"in exchange: {detail}")
    assert len(harness.time_file.blocks) == 0


async def test_a_second_exchange_on_one_connection_is_refused_and_the_first_goes_on(
    harness: ServiceHarness,
) -> None:
    client = await exchange(harness)
    again = await client.ask("exchange", id="2", interval_ms=10, duration_s=1)
    assert again["reason"] == "unsupported"
    pass_time(harness, 0.01)
    assert numbers(client.received()) == [1]


async def test_stamps_without_an_exchange_are_refused(harness: ServiceHarness) -> None:
    client = harness.connect()
    assert (await client.ask("stamp", n=1, sent=NOW))["reason"] == "unsupported"
    assert (await client.ask("exchange_end"))["reason"] == "unsupported"


async def test_a_stamp_with_a_time_that_is_none_is_refused_and_costs_nothing_else(
    harness: ServiceHarness,
) -> None:
    client = await exchange(harness)
    refused = await client.ask("stamp", n=1, sent="yesterday")
    assert refused["reason"] == "bad_field"
    assert "yesterday" in refused["detail"]
    assert harness.time_file.rows == []


async def test_more_stamps_than_agreed_are_not_taken(harness: ServiceHarness) -> None:
    client = await exchange(harness)
    for n in range(1, 6):
        await stamp(client, n)
    assert client.received() == []
    assert (await client.ask("stamp", n=6, sent=NOW))["reason"] == "too_many_requests"
    assert len(harness.time_file.rows) == 5


async def test_a_file_that_cannot_be_used_refuses_the_exchange(
    harness: ServiceHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        raise BlockingIOError("times.txt is being written by another program")

    monkeypatch.setattr(harness.time_file, "open", fail)
    refused = await harness.connect().ask("exchange", id="1", interval_ms=10, duration_s=1)
    assert refused["reason"] == "storage_failed"
    assert "another program" in refused["detail"]


async def test_a_client_that_left_while_the_file_was_opened_gets_no_exchange(
    harness: ServiceHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = harness.connect()

    async def leave() -> None:
        client.lose_connection()

    monkeypatch.setattr(harness.time_file, "open", leave)
    await client.send("exchange", id="1", interval_ms=10, duration_s=1)
    assert len(harness.time_file.blocks) == 0
    assert len(harness.wheel) == 0
