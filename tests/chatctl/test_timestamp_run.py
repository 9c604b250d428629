"""A run against a server that does only what the test says, on a real socket and the real clock."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import pytest

from chatctl.backoff import Backoff
from chatctl.clock import SteadyClock
from chatctl.errors import (
    AnswerTimeoutError,
    CannotConnectError,
    ClientError,
    ProtocolError,
    RefusedError,
)
from chatctl.events import Reconnected, Reconnecting
from chatctl.redial import Redial
from chatctl.run import Run, ServerCounts
from chatctl.stamplink import StampLink
from common.addresses import Address
from common.exchange import Exchange
from tests.chatctl.scripted import PATIENCE, Peer, Server

NOW = "2026-11-21T07:11:00.000000Z"
MS = 1_000_000


class Rows:
    """The file: how many rows each block has, and how it ended (ns, broken off)."""

    def __init__(self) -> None:
        self.blocks: list[int] = []
        self.ends: list[tuple[int, bool]] = []

    def start_block(self) -> None:
        self.blocks.append(0)

    def add(self, _row: str) -> None:
        self.blocks[-1] += 1

    def end_block(self, duration_ns: int, *, broken_off: bool) -> None:
        self.ends.append((duration_ns, broken_off))


class HandClock(SteadyClock):
    """Stands still until the test moves it on: as many stamps are sent as the test says."""

    def __init__(self) -> None:
        super().__init__()
        self._now_ns = super().monotonic_ns()

    def monotonic_ns(self) -> int:
        return self._now_ns

    def advance(self, ns: int) -> None:
        self._now_ns += ns


class Runner:
    """A run of 2 ms stamps under way; `result` is what `go` returned."""

    def __init__(
        self,
        server: Server,
        expected: int,
        *,
        answer: float,
        silence: float,
        patience: float,
        clock: SteadyClock,
    ) -> None:
        self.record = Exchange(2 * MS, expected)
        self.rows = Rows()
        self.told: list[Reconnecting | Reconnected] = []
        self.is_told = asyncio.Event()
        address = Address("127.0.0.1", server.port)
        self.run = Run(
            "1",
            self.record,
            rows=self.rows,
            clock=clock,
            redial=Redial(
                lambda: StampLink.open(address, PATIENCE, silence),
                Backoff(base=0.0),
                patience,
                self.tell,
            ),
            answer_timeout=answer,
            tell=self.tell,
        )
        self.task = asyncio.create_task(self.run.go())

    def tell(self, event: Reconnecting | Reconnected) -> None:
        self.told.append(event)
        self.is_told.set()

    async def begins_block(self, count: int) -> None:
        """Wait until the block with this number has begun, and with it the grid of deadlines."""
        async with asyncio.timeout(PATIENCE):
            while len(self.rows.blocks) < count:  # noqa: ASYNC110 - a server's answer makes it so
                await asyncio.sleep(0)

    async def result(self) -> str:
        async with asyncio.timeout(PATIENCE):
            return await self.task


@asynccontextmanager
async def running(
    server: Server,
    expected: int = 3,
    *,
    answer: float = PATIENCE,
    silence: float = PATIENCE,
    patience: float = PATIENCE,
    clock: SteadyClock | None = None,
) -> AsyncIterator[Runner]:
    runner = Runner(
        server,
        expected,
        answer=answer,
        silence=silence,
        patience=patience,
        clock=clock or SteadyClock(),
    )
    try:
        yield runner
    finally:
        server.close()  # so that no farewell is waited for
        runner.task.cancel()
        await asyncio.wait([runner.task])


async def grant(server: Server) -> tuple[Peer, dict[str, object]]:
    """Accept a connection and grant what it asks for."""
    peer = await server.accept()
    wish = await peer.expect("exchange")
    peer.say(**wish)
    return peer, wish


def stamp(peer: Peer, *numbers: int) -> None:
    for n in numbers:
        peer.say("stamp", n=n, sent=NOW)


async def take_stamps(peer: Peer, *numbers: int) -> None:
    assert [(await peer.expect("stamp"))["n"] for _ in numbers] == list(numbers)


async def end(peer: Peer, **counts: int) -> dict[str, object]:
    """Expect the end and answer it."""
    farewell = await peer.expect("exchange_end")
    peer.say("exchange_end", **counts)
    return farewell


async def test_a_run_sends_its_stamps_takes_as_many_and_tells_its_counts(server: Server) -> None:
    async with running(server) as runner:
        peer, wish = await grant(server)
        await take_stamps(peer, 1, 2, 3)
        stamp(peer, 1, 2, 3)
        farewell = await end(peer, sent=3, received=3)
        assert await runner.result() == ""
    assert wish == {"code": "exchange", "id": "1", "interval_ms": 2, "duration_s": 0.006}
    assert farewell == {"code": "exchange_end", "sent": 3, "received": 3}
    assert runner.run.server == ServerCounts(3, 3)
    assert (runner.rows.blocks, runner.rows.ends) == ([6], [(6 * MS, False)])
    assert (runner.run.outages, runner.told, runner.run.is_interrupted) == ([], [], False)


async def test_deadlines_are_an_interval_apart_and_lateness_is_counted_from_them(
    server: Server,
) -> None:
    async with running(server, 20) as runner:
        peer, _ = await grant(server)
        await take_stamps(peer, *range(1, 21))
    record = runner.record
    deadlines = [at - late for at, late in zip(record.sent_ns, record.timer_error_ns, strict=True)]
    assert [at - deadlines[0] for at in deadlines] == [n * 2 * MS for n in range(20)]
    assert min(record.timer_error_ns) >= 0


async def test_stamps_that_come_after_the_last_one_are_kept(server: Server) -> None:
    async with running(server, 1) as runner:
        peer, _ = await grant(server)
        stamp(peer, 1, 2)
        await end_of_stamps(peer)
        await runner.result()
    assert [arrival.n for arrival in runner.record.arrivals] == [1, 2]


async def test_a_server_that_does_not_tell_its_counts_is_not_waited_for_long(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatctl.leg.FAREWELL", 0.01)
    async with running(server, 1) as runner:
        peer, _ = await grant(server)
        stamp(peer, 1)
        assert await runner.result() == ""
    assert runner.run.server is None
    assert runner.rows.ends == [(2 * MS, False)]


async def test_a_refusal_is_raised_and_nothing_is_written(server: Server) -> None:
    async with running(server) as runner:
        peer = await server.accept()
        peer.say("error", reason="too_many_requests", detail="all 0 exchanges are taken")
        with pytest.raises(RefusedError, match="all 0 exchanges are taken"):
            await runner.result()
    assert runner.rows.blocks == []


async def test_a_server_that_does_not_answer_is_given_up(server: Server) -> None:
    async with running(server, answer=0.02) as runner:
        with pytest.raises(AnswerTimeoutError, match=r"did not answer within 0\.02 s"):
            await runner.result()


async def test_a_connection_that_is_lost_before_it_began_is_not_sought_again(
    server: Server,
) -> None:
    async with running(server) as runner:
        (await server.accept()).hang_up()
        with pytest.raises(CannotConnectError, match="lost before the exchange began"):
            await runner.result()


async def test_nobody_listening_is_an_error_that_says_where() -> None:
    nobody = Server()
    await nobody.listen()
    nobody.close()
    async with running(nobody) as runner:
        with pytest.raises(CannotConnectError, match="connection refused; is chatd running there"):
            await runner.result()


async def test_a_lost_connection_comes_back_for_the_stamps_that_are_left(server: Server) -> None:
    clock = HandClock()
    async with running(server, 50, clock=clock) as runner:
        peer, _ = await grant(server)
        await runner.begins_block(1)
        clock.advance(2 * 2 * MS)
        await take_stamps(peer, 1, 2)
        stamp(peer, 1)
        peer.hang_up()
        peer, wish = await grant(server)
        await runner.begins_block(2)
        clock.advance(48 * 2 * MS)
        first = await peer.expect("stamp")
        stamp(peer, *range(1, 49))
        await end_of_stamps(peer)
        assert await runner.result() == ""
    assert wish["duration_s"] == pytest.approx(48 * 0.002)
    assert first["n"] == 3
    assert "heard" not in first
    assert len(runner.record.sent_ns) == 50
    assert [arrival.n for arrival in runner.record.arrivals] == [1, *range(4, 52)]
    assert [is_broken for _, is_broken in runner.rows.ends] == [True, False]
    assert runner.rows.ends[1][0] == 48 * 2 * MS


async def test_an_outage_is_told_and_recorded_with_its_reason_and_length(server: Server) -> None:
    async with running(server, 500) as runner:
        peer, _ = await grant(server)
        await peer.expect("stamp")
        peer.say("error", reason="shutting_down", detail="the server stops")
        peer.hang_up()
        peer, _ = await grant(server)
        await peer.expect("stamp")
    (outage,) = runner.run.outages
    assert outage.reason == "the server stops"
    assert outage.away_ns is not None
    assert runner.record.sent_ns[0] < outage.at_ns < outage.at_ns + outage.away_ns
    assert isinstance(runner.told[0], Reconnecting)
    assert runner.told[-1] == Reconnected(outage.away_ns / 1e9)


async def test_a_refusal_that_may_pass_is_tried_again(server: Server) -> None:
    async with running(server, 500):
        peer, _ = await grant(server)
        await peer.expect("stamp")
        peer.hang_up()
        peer = await server.accept()
        peer.say("error", reason="too_many_requests", detail="try again later")
        peer, _ = await grant(server)
        assert (await peer.expect("stamp"))["n"] > 1


async def test_a_refusal_that_will_not_pass_ends_the_run_with_what_there_is(
    server: Server,
) -> None:
    async with running(server, 500) as runner:
        peer, _ = await grant(server)
        await peer.expect("stamp")
        peer.hang_up()
        peer = await server.accept()
        peer.say("error", reason="bad_field", detail="in exchange: no more than 1 s")
        assert await runner.result() == "in exchange: no more than 1 s"
    assert runner.record.sent_ns
    assert [outage.away_ns for outage in runner.run.outages] == [None]


async def test_a_server_that_does_not_come_back_ends_the_run_with_what_there_is(
    server: Server,
) -> None:
    async with running(server, 500, patience=0.0) as runner:
        peer, _ = await grant(server)
        await peer.expect("stamp")
        peer.hang_up()
        assert "did not come back within 0 s" in await runner.result()
    assert runner.record.sent_ns
    assert [is_broken for _, is_broken in runner.rows.ends] == [True]


async def test_a_server_that_falls_silent_counts_as_lost(server: Server) -> None:
    async with running(server, 5_000, silence=0.05) as runner:
        peer, _ = await grant(server)
        await peer.expect("stamp")
        await grant(server)
    assert runner.run.outages[0].reason == "the server was silent for 0.05 s"


async def test_when_only_stamps_of_the_server_are_missing_nothing_is_asked_for_again(
    server: Server,
) -> None:
    async with running(server, 2) as runner:
        peer, _ = await grant(server)
        await take_stamps(peer, 1, 2)
        peer.hang_up()
        assert await runner.result() == ""
    assert server.accepted == 1
    assert len(runner.record.arrivals) == 0


async def test_an_interrupted_run_says_so_to_the_server_and_closes_its_block(
    server: Server,
) -> None:
    async with running(server, 50_000) as runner:
        peer, _ = await grant(server)
        await peer.expect("stamp")
        stamp(peer, 1)
        runner.task.cancel()
        farewell = await end_of_stamps(peer, sent=7, received=9)
        assert await runner.result() == ""
        assert runner.task.cancelling() == 0
    assert runner.run.is_interrupted
    assert runner.run.server == ServerCounts(7, 9)
    assert farewell["sent"] == len(runner.record.sent_ns)
    ((elapsed_ns, is_broken),) = runner.rows.ends
    assert is_broken
    assert 0 < elapsed_ns < PATIENCE * 1e9


async def test_a_run_may_be_interrupted_before_it_began(server: Server) -> None:
    async with running(server) as runner:
        peer = await server.accept()
        await peer.expect("exchange")
        runner.task.cancel()
        assert await runner.result() == ""
    assert runner.run.is_interrupted
    assert runner.rows.blocks == []


async def test_a_run_may_be_interrupted_while_it_has_no_connection(server: Server) -> None:
    async with running(server, 500) as runner:
        peer, _ = await grant(server)
        await peer.expect("stamp")
        server.close()
        async with asyncio.timeout(PATIENCE):
            await runner.is_told.wait()
        runner.task.cancel()
        assert await runner.result() == ""
    assert runner.run.is_interrupted
    assert [outage.away_ns for outage in runner.run.outages] == [None]


async def test_codes_of_a_newer_server_are_passed_over(server: Server) -> None:
    async with running(server, 1) as runner:
        peer = await server.accept()
        peer.say("weather", sky="blue")
        peer.say(**await peer.expect("exchange"))
        peer.say("weather", sky="grey")
        stamp(peer, 1)
        await end_of_stamps(peer)
        assert await runner.result() == ""


@pytest.mark.parametrize(
    ("rubbish", "problem"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "the server sent what is no message: not JSON"),
        (b'{"code":"stamp","n":0,"sent":"x"}\n', "the server sent what is no message"),
        (b'{"code":"stamp","n":1,"sent":"noon"}\n', "a stamp that cannot be: 'noon'"),
    ],
)
async def test_a_server_that_speaks_otherwise_is_not_talked_to(
    server: Server, rubbish: bytes, problem: str
) -> None:
    async with running(server) as runner:
        peer = await server.accept()
        peer.write(rubbish)
        with pytest.raises(ClientError, match=problem) as failure:
            await runner.result()
    assert isinstance(failure.value, ProtocolError)


async def test_rubbish_in_the_middle_ends_the_run_with_what_there_is(server: Server) -> None:
    async with running(server, 500) as runner:
        peer, _ = await grant(server)
        await peer.expect("stamp")
        stamp(peer, 1)
        peer.write(b"boo\n")
        assert "no message" in await runner.result()
    assert server.accepted == 1
    assert len(runner.record.arrivals) == 1
    assert [is_broken for _, is_broken in runner.rows.ends] == [True]


async def end_of_stamps(peer: Peer, **counts: int) -> dict[str, object]:
    """Pass over stamps up to the end, and answer that."""
    for _ in count():
        message = await peer.hear()
        if message.get("code") != "stamp":
            break
    assert message["code"] == "exchange_end", message
    peer.say("exchange_end", **counts)
    return message
