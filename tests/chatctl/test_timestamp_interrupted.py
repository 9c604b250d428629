"""A run that is interrupted, whatever it does at that moment."""

import asyncio

from chatctl.run import ServerCounts
from tests.chatctl.scripted import TIMEOUT, ScriptedServer
from tests.chatctl.timestamp_runs import end_of_stamps, grant, running, stamp


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
