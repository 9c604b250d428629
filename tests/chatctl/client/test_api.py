"""The Python API against the real daemon, over connections that break.

The end of a client, over a real socket to a scripted server.
"""

import asyncio
import inspect
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatctl import client as api
from chatctl.client import (
    CannotConnectError,
    Client,
    Incoming,
    Joined,
    Left,
    Reconnected,
    Reconnecting,
    RefusedError,
)
from chatctl.client.reconnect import Backoff
from tests.support.daemon_process import Daemon
from tests.support.scripted_server import TIMEOUT, ScriptedServer, log_in, next_contents, next_event


class Proxy:
    """Stands between clients and a daemon, and drops their connections on demand."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._writers: set[asyncio.StreamWriter] = set()
        self._pipes: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1")
        self.port: int = self._server.sockets[0].getsockname()[1]

    def drop_connections(self) -> None:
        """Drop every connection, with whatever is on its way."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def close(self) -> None:
        self._server.close()
        self.drop_connections()
        await asyncio.gather(*self._pipes)

    def client(self) -> Client:
        backoff = Backoff(base=0.001, cap=0.01)
        return Client("127.0.0.1", self.port, backoff=backoff, answer_timeout=TIMEOUT)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream = await asyncio.open_connection(*self._daemon.address)
        self._writers |= {writer, upstream[1]}
        for source, sink in ((reader, upstream[1]), (upstream[0], writer)):
            self._pipes.add(asyncio.create_task(pipe(source, sink)))


async def pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while chunk := await source.read(4096):
            sink.write(chunk)
            await sink.drain()
    except ConnectionError:
        pass
    finally:
        sink.close()


@pytest.fixture
async def proxy(daemon: Daemon) -> AsyncIterator[Proxy]:
    running = Proxy(daemon)
    await running.listen()
    yield running
    await running.close()


def test_the_example_of_the_documentation_runs(daemon: Daemon) -> None:
    text = inspect.getdoc(api) or ""
    (example,) = (
        textwrap.dedent(block)
        for block in text.split("\n\n**Reconnection.**")[0].split("real daemon:\n\n")[1:]
    )
    here = example.replace('"127.0.0.1", 5555', f'"{daemon.host}", {daemon.port}')
    assert here != example

    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", here],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )

    assert ran.stderr == ""
    assert ran.stdout == "['ann', 'bob']\nin the log as number 1\nann: hi\n"


async def test_every_message_arrives_once_and_in_order_however_often_the_connection_breaks(
    proxy: Proxy,
) -> None:
    texts = [f"message {number}" for number in range(400)]
    async with proxy.client() as sender, proxy.client() as receiver:
        await sender.hello("sender")
        await receiver.hello("receiver")
        receiving = asyncio.create_task(next_contents(receiver, len(texts)))

        for start in range(0, len(texts), 20):
            batch = [asyncio.create_task(sender.broadcast(t)) for t in texts[start : start + 20]]
            await asyncio.wait(batch, return_when=asyncio.FIRST_COMPLETED)
            proxy.drop_connections()
            receipts = await asyncio.gather(*batch)
            assert len({receipt.id for receipt in receipts}) == 20

        assert await receiving == texts


async def test_what_was_said_while_one_was_away_is_there_when_one_comes_back(
    daemon: Daemon, proxy: Proxy
) -> None:
    async with proxy.client() as away, Client(*daemon.address) as here:
        await away.hello("away")
        await here.hello("here")

        proxy.drop_connections()
        await here.send("away", "you missed this")

        assert await next_contents(away, 1) == ["you missed this"]
        history = await away.history(limit=1)
        assert [message.content for message in history.messages] == ["you missed this"]


async def test_a_program_that_reads_late_gets_all_in_order(daemon: Daemon) -> None:
    texts = [f"{number:0200}" for number in range(1_000)]
    async with (
        Client(*daemon.address) as sender,
        Client(*daemon.address, max_queue=32) as late,
    ):
        await sender.hello("busy")
        await late.hello("late")
        for start in range(0, len(texts), 250):
            await asyncio.gather(*map(sender.broadcast, texts[start : start + 250]))
            assert "late" in await late.who()

        assert await next_contents(late, len(texts)) == texts


async def test_a_program_may_answer_from_inside_its_own_loop(daemon: Daemon) -> None:
    async with Client(*daemon.address) as sender, Client(*daemon.address, max_queue=2) as replier:
        await sender.hello("asker")
        await replier.hello("parrot")

        async def repeat() -> None:
            async for event in replier:
                if isinstance(event, Incoming):
                    await replier.send(event.author, event.content)

        repeating = asyncio.create_task(repeat())
        texts = [str(number) for number in range(300)]
        replies = asyncio.create_task(next_contents(sender, len(texts)))
        await asyncio.gather(*(sender.send("parrot", text) for text in texts))

        assert await replies == texts
        repeating.cancel()
        await asyncio.wait([repeating])


async def test_presence_is_shown_to_who_asked_for_it(daemon: Daemon) -> None:
    async with Client(*daemon.address) as watcher:
        await watcher.hello("watcher", presence=True)
        async with Client(*daemon.address) as guest:
            await guest.hello("guest")

        assert await next_event(watcher) == Joined("guest")
        assert await next_event(watcher) == Left("guest")


async def test_the_newer_sign_in_wins_and_the_older_one_is_notified(daemon: Daemon) -> None:
    async with Client(*daemon.address) as older, Client(*daemon.address) as newer:
        await older.hello("gina")
        await newer.hello("gina", token=older.token)

        with pytest.raises(RefusedError) as error:
            await next_event(older)

        assert error.value.reason == "replaced"
        assert (await newer.who()).count("gina") == 1


async def test_a_taken_name_comes_with_a_suggestion_that_is_free(daemon: Daemon) -> None:
    async with Client(*daemon.address) as first, Client(*daemon.address) as second:
        await first.hello("hugo")
        with pytest.raises(RefusedError) as error:
            await second.hello("hugo")
        suggestion = error.value.suggestion
        assert suggestion is not None

        await second.hello(suggestion)

        assert second.name == "hugo-2"


async def test_ping_and_echo_need_no_name(daemon: Daemon) -> None:
    async with Client(*daemon.address) as anonymous:
        probe = await anonymous.ping()
        # Both clocks are this machine's, written in whole microseconds.
        assert abs(probe.offset) <= probe.delay / 2 + 2e-6
        assert await anonymous.echo({"a": [1, 2.5, None, "ä"]}) == {"a": [1, 2.5, None, "ä"]}


async def test_a_server_that_starts_again_has_us_back(tmp_path: Path, reserved_port: int) -> None:
    first = Daemon(tmp_path, "--port", str(reserved_port))
    backoff = Backoff(base=0.01, cap=0.1)
    async with Client(*first.address, backoff=backoff, answer_timeout=TIMEOUT) as client:
        await client.hello("ida")
        await client.broadcast("into a log that is kept in memory")
        await asyncio.to_thread(first.kill)
        call = asyncio.create_task(client.broadcast("again"))
        second = await asyncio.to_thread(Daemon, tmp_path, "--port", str(reserved_port))

        receipt = await call
        while not isinstance(event := await next_event(client), Reconnected):
            pass

        assert receipt.id > 0
        assert event.away > 0
        assert await client.who() == ["ida"]
    await asyncio.to_thread(second.stop)


async def test_quit_says_goodbye_and_takes_the_acknowledgements_on_their_way(
    server: ScriptedServer,
) -> None:
    client = server.client()
    async with client:
        connection = await log_in(server, client)
        connection.closes_on_quit = False
        call = asyncio.create_task(client.broadcast("bye"))
        message = await connection.expect("outgoing_broadcast")

        leaving = asyncio.create_task(client.quit())
        await connection.expect("quit")
        connection.send("ack", id=1, ref=message["ref"])
        connection.close()
        await leaving

        assert (await call).id == 1
        assert [event async for event in client] == []
        with pytest.raises(CannotConnectError, match="has quit"):
            await client.who()


async def test_a_program_that_fails_leaves_at_once(server: ScriptedServer) -> None:
    async def fail() -> None:
        async with server.client():
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()

    assert await (await server.accept()).receive() == {}


async def test_one_may_quit_while_there_is_no_connection(server: ScriptedServer) -> None:
    async with server.client() as client:
        await log_in(server, client)
        server.close()
        assert isinstance(await next_event(client), Reconnecting)
        call = asyncio.create_task(client.who())
        await asyncio.sleep(0)

        await client.quit()

        with pytest.raises(CannotConnectError, match="has quit"):
            await call
