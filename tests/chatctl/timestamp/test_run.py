"""A run that goes well or does not begin, against a server that does what the test says.

A run that loses its connection: what comes back, what is told, and what ends it for good.
A run that is interrupted, whatever it does at that moment.
"""

import asyncio

import pytest

from chatctl.client import RefusedError
from chatctl.client.events import Reconnected, Reconnecting
from chatctl.errors import AnswerTimeoutError, CannotConnectError, ClientError, ProtocolError
from chatctl.timestamp.run import ServerCounts
from tests.support.scripted_server import TIMEOUT, ScriptedServer
from tests.support.timestamp_fixtures import (
    MS,
    ManualClock,
    end,
    end_of_stamps,
    grant,
    running,
    stamp,
    take_stamps,
)


async def test_a_run_sends_its_stamps_takes_as_many_and_reports_its_counts(
    server: ScriptedServer,
) -> None:
    async with running(server) as runner:
        connection, request = await grant(server)
        await take_stamps(connection, 1, 2, 3)
        stamp(connection, 1, 2, 3)
        end_message = await end(connection, sent=3, received=3)
        assert await runner.result() == ""
    assert request == {"code": "exchange", "id": "1", "interval_ms": 2, "duration_s": 0.006}
    assert end_message == {"code": "exchange_end", "sent": 3, "received": 3}
    assert runner.run.server == ServerCounts(3, 3)
    assert [len(rows) for rows in runner.file.blocks] == [6]
    assert runner.file.ends == [(6 * MS, False)]
    assert (runner.run.outages, runner.notified, runner.run.is_interrupted) == ([], [], False)


async def test_deadlines_are_an_interval_apart_and_lateness_is_counted_from_them(
    server: ScriptedServer,
) -> None:
    async with running(server, 20) as runner:
        connection, _ = await grant(server)
        await take_stamps(connection, *range(1, 21))
    record = runner.record
    deadlines = [at - late for at, late in zip(record.sent_ns, record.timer_error_ns, strict=True)]
    assert [at - deadlines[0] for at in deadlines] == [n * 2 * MS for n in range(20)]
    assert min(record.timer_error_ns) >= 0


async def test_stamps_that_come_after_the_last_one_are_kept(server: ScriptedServer) -> None:
    async with running(server, 1) as runner:
        connection, _ = await grant(server)
        stamp(connection, 1, 2)
        await end_of_stamps(connection)
        await runner.result()
    assert [arrival.n for arrival in runner.record.arrivals] == [1, 2]


async def test_a_server_that_does_not_report_its_counts_is_not_waited_for_long(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatctl.timestamp.run.END_TIMEOUT", 0.01)
    async with running(server, 1) as runner:
        connection, _ = await grant(server)
        stamp(connection, 1)
        assert await runner.result() == ""
    assert runner.run.server is None
    assert runner.file.ends == [(2 * MS, False)]


async def test_a_refusal_is_raised_and_nothing_is_written(server: ScriptedServer) -> None:
    async with running(server) as runner:
        connection = await server.accept()
        connection.send("error", reason="too_many_requests", detail="all 0 exchanges are taken")
        with pytest.raises(RefusedError, match="all 0 exchanges are taken"):
            await runner.result()
    assert runner.file.blocks == []


async def test_a_server_that_does_not_answer_is_given_up(server: ScriptedServer) -> None:
    async with running(server, answer=0.02) as runner:
        with pytest.raises(AnswerTimeoutError, match=r"did not answer within 0\.02 s"):
            await runner.result()


async def test_a_connection_that_is_lost_before_it_began_is_not_sought_again(
    server: ScriptedServer,
) -> None:
    async with running(server) as runner:
        (await server.accept()).close()
        with pytest.raises(CannotConnectError, match="lost before the exchange began"):
            await runner.result()


async def test_nobody_listening_is_an_error_that_says_where() -> None:
    nobody = ScriptedServer()
    await nobody.listen()
    nobody.close()
    async with running(nobody) as runner:
        with pytest.raises(CannotConnectError, match="connection refused; is chatd running there"):
            await runner.result()


async def test_codes_of_a_newer_server_are_passed_over(server: ScriptedServer) -> None:
    async with running(server, 1) as runner:
        connection = await server.accept()
        connection.send("weather", sky="blue")
        connection.send(**await connection.expect("exchange"))
        connection.send("weather", sky="grey")
        stamp(connection, 1)
        await end_of_stamps(connection)
        assert await runner.result() == ""


@pytest.mark.parametrize(
    ("garbage", "problem"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", r"127\.0\.0\.1 does not speak the chatd protocol \(not JSON"),
        (b'{"code":"stamp","n":0,"sent":"x"}\n', "does not speak the chatd protocol"),
        (b'{"code":"stamp","n":1,"sent":"noon"}\n', "an impossible stamp: 'noon'"),
    ],
)
async def test_a_server_that_speaks_otherwise_is_not_talked_to(
    server: ScriptedServer, garbage: bytes, problem: str
) -> None:
    async with running(server) as runner:
        connection = await server.accept()
        connection.write(garbage)
        with pytest.raises(ClientError, match=problem) as error:
            await runner.result()
    assert isinstance(error.value, ProtocolError)


async def test_rubbish_in_the_middle_ends_the_run_with_what_there_is(
    server: ScriptedServer,
) -> None:
    async with running(server, 500) as runner:
        connection, _ = await grant(server)
        await connection.expect("stamp")
        stamp(connection, 1)
        connection.write(b"boo\n")
        assert "does not speak the chatd protocol" in await runner.result()
    assert server.accepted == 1
    assert len(runner.record.arrivals) == 1
    assert [is_broken for _, is_broken in runner.file.ends] == [True]


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
        assert "could not be restored within 0 s" in await runner.result()
    assert runner.record.sent_ns
    assert [is_broken for _, is_broken in runner.file.ends] == [True]


async def test_a_server_that_falls_silent_counts_as_lost(server: ScriptedServer) -> None:
    async with running(server, 5_000, keepalive=0.05) as runner:
        connection, _ = await grant(server)
        await connection.expect("stamp")
        await grant(server)
    assert runner.run.outages[0].reason == "the server sent nothing for 0.05 s"


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


async def test_an_interrupted_run_says_so_to_the_server_and_closes_its_block(
    server: ScriptedServer,
) -> None:
    async with running(server, 50_000) as runner:
        connection, _ = await grant(server)
        await connection.expect("stamp")
        stamp(connection, 1)
        runner.task.cancel()
        end_message = await end_of_stamps(connection, sent=7, received=9)
        assert await runner.result() == ""
        assert runner.task.cancelling() == 0
    assert runner.run.is_interrupted
    assert runner.run.server == ServerCounts(7, 9)
    assert end_message["sent"] == len(runner.record.sent_ns)
    ((elapsed_ns, is_broken),) = runner.file.ends
    assert is_broken
    assert 0 < elapsed_ns < TIMEOUT * 1e9


async def test_a_run_may_be_interrupted_before_it_began(server: ScriptedServer) -> None:
    async with running(server) as runner:
        connection = await server.accept()
        await connection.expect("exchange")
        runner.task.cancel()
        assert await runner.result() == ""
    assert runner.run.is_interrupted
    assert runner.file.blocks == []


async def test_a_run_may_be_interrupted_while_it_has_no_connection(server: ScriptedServer) -> None:
    async with running(server, 500) as runner:
        connection, _ = await grant(server)
        await connection.expect("stamp")
        server.close()
        async with asyncio.timeout(TIMEOUT):
            await runner.was_notified.wait()
        runner.task.cancel()
        assert await runner.result() == ""
    assert runner.run.is_interrupted
    assert [outage.away_ns for outage in runner.run.outages] == [None]
