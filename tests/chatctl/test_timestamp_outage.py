"""A run that loses its connection: what comes back, what is told, and what ends it for good."""

import pytest

from chatctl.events import Reconnected, Reconnecting
from tests.chatctl.scripted import ScriptedServer
from tests.chatctl.timestamp_runs import (
    MS,
    ManualClock,
    end_of_stamps,
    grant,
    running,
    stamp,
    take_stamps,
)


async def test_a_lost_connection_comes_back_for_the_stamps_that_are_left(
    server: ScriptedServer,
) -> None:
    clock = ManualClock()
    async with running(server, 50, clock=clock) as runner:
        connection, _ = await grant(server)
        await runner.begins_block(1)
        clock.advance(2 * 2 * MS)
        await take_stamps(connection, 1, 2)
        stamp(connection, 1)
        connection.close()
        connection, request = await grant(server)
        await runner.begins_block(2)
        clock.advance(48 * 2 * MS)
        first = await connection.expect("stamp")
        stamp(connection, *range(1, 49))
        await end_of_stamps(connection)
        assert await runner.result() == ""
    assert request["duration_s"] == pytest.approx(48 * 0.002)
    assert first["n"] == 3
    assert "heard" not in first
    assert len(runner.record.sent_ns) == 50
    assert [arrival.n for arrival in runner.record.arrivals] == [1, *range(4, 52)]
    assert [is_broken for _, is_broken in runner.file.ends] == [True, False]
    assert runner.file.ends[1][0] == 48 * 2 * MS


async def test_an_outage_is_reported_and_recorded_with_its_reason_and_length(
    server: ScriptedServer,
) -> None:
    async with running(server, 500) as runner:
        connection, _ = await grant(server)
        await connection.expect("stamp")
        connection.send("error", reason="shutting_down", detail="the server stops")
        connection.close()
        connection, _ = await grant(server)
        await connection.expect("stamp")
    (outage,) = runner.run.outages
    assert outage.reason == "the server stops"
    assert outage.away_ns is not None
    assert runner.record.sent_ns[0] < outage.at_ns < outage.at_ns + outage.away_ns
    assert isinstance(runner.notified[0], Reconnecting)
    assert runner.notified[-1] == Reconnected(outage.away_ns / 1e9)


async def test_a_refusal_that_may_pass_is_tried_again(server: ScriptedServer) -> None:
    async with running(server, 500):
        connection, _ = await grant(server)
        await connection.expect("stamp")
        connection.close()
        connection = await server.accept()
        connection.send("error", reason="too_many_requests", detail="try again later")
        connection, _ = await grant(server)
        assert (await connection.expect("stamp"))["n"] > 1


async def test_a_refusal_that_will_not_pass_ends_the_run_with_what_there_is(
    server: ScriptedServer,
) -> None:
    async with running(server, 500) as runner:
        connection, _ = await grant(server)
        await connection.expect("stamp")
        connection.close()
        connection = await server.accept()
        connection.send("error", reason="bad_field", detail="in exchange: no more than 1 s")
        assert await runner.result() == "in exchange: no more than 1 s"
    assert runner.record.sent_ns
    assert [outage.away_ns for outage in runner.run.outages] == [None]


async def test_a_server_that_does_not_come_back_ends_the_run_with_what_there_is(
    server: ScriptedServer,
) -> None:
    async with running(server, 500, give_up_after=0.0) as runner:
        connection, _ = await grant(server)
        await connection.expect("stamp")
        connection.close()
        assert "did not come back within 0 s" in await runner.result()
    assert runner.record.sent_ns
    assert [is_broken for _, is_broken in runner.file.ends] == [True]


async def test_a_server_that_falls_silent_counts_as_lost(server: ScriptedServer) -> None:
    async with running(server, 5_000, keepalive=0.05) as runner:
        connection, _ = await grant(server)
        await connection.expect("stamp")
        await grant(server)
    assert runner.run.outages[0].reason == "the server was silent for 0.05 s"


async def test_when_only_stamps_of_the_server_are_missing_nothing_is_asked_for_again(
    server: ScriptedServer,
) -> None:
    async with running(server, 2) as runner:
        connection, _ = await grant(server)
        await take_stamps(connection, 1, 2)
        connection.close()
        assert await runner.result() == ""
    assert server.accepted == 1
    assert len(runner.record.arrivals) == 0
