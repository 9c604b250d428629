"""Fixtures for timestamp exchanges: a worked example, a client run, and the files they write.

`exchange` and `report` are an exchange worked out by hand. `running` runs the client's side against
a scripted server on a real socket. The rest finds what ``chatctl timestamp`` wrote.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

from chatctl.client.events import Reconnected, Reconnecting
from chatctl.client.reconnect import Backoff, Reconnector
from chatctl.timestamp.connection import StampProtocol
from chatctl.timestamp.report import ExchangeReport
from chatctl.timestamp.run import ExchangeRun, Outage, ServerCounts
from common.system.clock import SteadyClock
from common.timing.analysis import analyze
from common.timing.file_format import FileBlock, parse_blocks
from common.timing.record import ExchangeRecord, ReceivedStamp
from common.values import Address
from tests.support.daemon_process import Daemon
from tests.support.fakes import FakeTimeFile
from tests.support.processes import TIMEOUT, wait_until
from tests.support.scripted_server import ScriptedServer, ServerConnection

US: Final = 1_000
MS: Final = 1_000_000
SECOND: Final = 1_000_000_000
EPOCH: Final = 1_795_245_060 * SECOND
"""2026-11-21T07:11:00Z."""
NOW: Final = "2026-11-21T07:11:00.000000Z"

SHORT: Final = ("--duration", "300ms", "--interval", "5ms")
"""Options for 60 stamps each way."""

LONG: Final = ("--duration", "30s", "--interval", "5ms")
"""Options for an exchange longer than any test waits."""

OUTAGE: Final = Outage(EPOCH + 300 * MS, 1_500 * MS, "the server stops")


def exchange(count: int = 100) -> ExchangeRecord:
    """Stamps 10 ms apart: the other clock is 1 ms ahead, each way takes 0.1 to 0.4 ms."""
    record = ExchangeRecord(10 * MS, count)
    for n in range(1, count + 1):
        sent = EPOCH + n * 10 * MS
        there, back = 100 * US + n % 4 * 100 * US, 100 * US + n % 3 * 150 * US
        received_at, answered = sent + there + 1 * MS, sent + 6 * MS
        record.sent_ns.append(sent)
        record.send_call_ns.append(20 * US)
        record.timer_error_ns.append(50 * US)
        arrival = ReceivedStamp(n, answered, n, received_at, answered - 1 * MS + back)
        record.arrivals.append(arrival)
    return record


def report(record: ExchangeRecord | None = None, **changes: Any) -> ExchangeReport:
    """Return the report of a run in which all went well, but for `changes`."""
    record = record or exchange()
    fields: dict[str, Any] = {
        "id": "1",
        "server": "127.0.0.1:5555",
        "file": "client_1_TimeData.txt",
        "interval_ns": record.interval_ns,
        "rows": 2 * record.expected,
        "rows_lost": 0,
        "is_interrupted": False,
        "failure": "",
        "outages": (),
        "server_counts": ServerCounts(record.expected, record.expected),
        "analysis": analyze(record),
    }
    return ExchangeReport(**fields | changes)


class ManualClock(SteadyClock):
    """Stands still until the test moves it on: as many stamps are sent as the test says."""

    def __init__(self) -> None:
        super().__init__()
        self._now_ns = super().monotonic_ns()

    def monotonic_ns(self) -> int:
        return self._now_ns

    def advance(self, ns: int) -> None:
        self._now_ns += ns


class Runner:
    """A run of 2 ms stamps under way; `result` is what `run` returned."""

    def __init__(
        self,
        server: ScriptedServer,
        expected: int,
        *,
        answer: float,
        keepalive: float,
        give_up_after: float,
        clock: SteadyClock,
    ) -> None:
        self.record = ExchangeRecord(2 * MS, expected)
        self.file = FakeTimeFile()
        self.notified: list[Reconnecting | Reconnected] = []
        self.was_notified = asyncio.Event()
        address = Address("127.0.0.1", server.port)
        self.run = ExchangeRun(
            "1",
            self.record,
            file=self.file,
            clock=clock,
            reconnector=Reconnector(
                lambda: StampProtocol.open(address, TIMEOUT, keepalive),
                Backoff(base=0.0),
                give_up_after,
                self.notify,
            ),
            answer_timeout=answer,
            notify=self.notify,
        )
        self.task = asyncio.create_task(self.run.run())

    def notify(self, event: Reconnecting | Reconnected) -> None:
        self.notified.append(event)
        self.was_notified.set()

    async def begins_block(self, count: int) -> None:
        """Wait until the block with this number, and its schedule of deadlines, has begun."""
        async with asyncio.timeout(TIMEOUT):
            while len(self.file.blocks) < count:  # noqa: ASYNC110 - a server's answer makes it so
                await asyncio.sleep(0)

    async def result(self) -> str:
        async with asyncio.timeout(TIMEOUT):
            return await self.task


@asynccontextmanager
async def running(
    server: ScriptedServer,
    expected: int = 3,
    *,
    answer: float = TIMEOUT,
    keepalive: float = TIMEOUT,
    give_up_after: float = TIMEOUT,
    clock: SteadyClock | None = None,
) -> AsyncIterator[Runner]:
    runner = Runner(
        server,
        expected,
        answer=answer,
        keepalive=keepalive,
        give_up_after=give_up_after,
        clock=clock or SteadyClock(),
    )
    try:
        yield runner
    finally:
        server.close()  # so that nobody waits for its counts
        runner.task.cancel()
        await asyncio.wait([runner.task])


async def grant(server: ScriptedServer) -> tuple[ServerConnection, dict[str, object]]:
    """Accept a connection and grant what it asks for."""
    connection = await server.accept()
    request = await connection.expect("exchange")
    connection.send(**request)
    return connection, request


def stamp(connection: ServerConnection, *numbers: int) -> None:
    for n in numbers:
        connection.send("stamp", n=n, sent=NOW)


async def take_stamps(connection: ServerConnection, *numbers: int) -> None:
    assert [(await connection.expect("stamp"))["n"] for _ in numbers] == list(numbers)


async def end(connection: ServerConnection, **counts: int) -> dict[str, object]:
    """Expect the end and answer it."""
    end = await connection.expect("exchange_end")
    connection.send("exchange_end", **counts)
    return end


async def end_of_stamps(connection: ServerConnection, **counts: int) -> dict[str, object]:
    """Pass over stamps up to the end, and answer that."""
    for _ in count():
        message = await connection.receive()
        if message.get("code") != "stamp":
            break
    assert message["code"] == "exchange_end", message
    connection.send("exchange_end", **counts)
    return message


def measured(output: str) -> Any:
    """Return the report, the last line of ``--json``."""
    report = json.loads(output.splitlines()[-1])
    assert report["figures"] == "run"
    return report


def blocks(path: Path) -> list[FileBlock]:
    with path.open() as lines:
        return list(parse_blocks(lines))


def rows(path: Path) -> int:
    return sum(len(block.rows) for block in blocks(path))


def numbers(path: Path) -> list[int]:
    return [row.number for block in blocks(path) for row in block.rows]


def wait_for_rows(path: Path, least: int) -> None:
    """Wait until a file that is being written has so many rows."""
    wait_until(lambda: path.exists() and rows(path) >= least, lambda: f"{path} does not grow")


def wait_for_more_rows(path: Path, more: int) -> None:
    """Wait until a file that is being written has so many rows more."""
    wait_for_rows(path, rows(path) + more)


def wait_for_end(daemon: Daemon, count: int) -> None:
    """Wait until the daemon has logged the end of so many exchanges."""
    ends = re.compile(r"exchange \S+ (?:is complete|was interrupted)")
    wait_until(lambda: len(ends.findall(daemon.stderr)) >= count, lambda: daemon.stderr)


def server_file(daemon: Daemon) -> Path:
    return daemon.folder / "serverTimeData.txt"
