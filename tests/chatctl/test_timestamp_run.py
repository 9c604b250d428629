"""A run that goes well or does not begin, against a server that does what the test says."""

import pytest

from chatctl.errors import (
    AnswerTimeoutError,
    CannotConnectError,
    ClientError,
    ProtocolError,
    RefusedError,
)
from chatctl.run import ServerCounts
from tests.chatctl.scripted import ScriptedServer
from tests.chatctl.timestamp_runs import MS, end, end_of_stamps, grant, running, stamp, take_stamps


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
    assert (runner.file.blocks, runner.file.ends) == ([6], [(6 * MS, False)])
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
    monkeypatch.setattr("chatctl.leg.END_TIMEOUT", 0.01)
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
        (b"SSH-2.0-OpenSSH_9.6\r\n", "the server sent what is no message: not JSON"),
        (b'{"code":"stamp","n":0,"sent":"x"}\n', "the server sent what is no message"),
        (b'{"code":"stamp","n":1,"sent":"noon"}\n', "a stamp that cannot be: 'noon'"),
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
        assert "no message" in await runner.result()
    assert server.accepted == 1
    assert len(runner.record.arrivals) == 1
    assert [is_broken for _, is_broken in runner.file.ends] == [True]
