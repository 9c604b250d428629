"""A timestamp measurement, from its options to its report: run, time file and display."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from chatctl.cli.config import Settings
from chatctl.cli.event_text import describe
from chatctl.cli.runner import task_group
from chatctl.client import Reconnected, Reconnecting
from chatctl.client.reconnect import Backoff, Reconnector
from chatctl.errors import UsageError, why
from chatctl.timestamp.connection import StampProtocol
from chatctl.timestamp.display import ProgressDisplay
from chatctl.timestamp.report import ExchangeReport, Sampler
from chatctl.timestamp.run import ExchangeRun
from common.names import check_id
from common.system.clock import SteadyClock
from common.system.time_file import TimeFileThread
from common.timing.analysis import analyze
from common.timing.record import ExchangeRecord

GIVE_UP_AFTER: Final = 60.0
"""How long (s) to try to get a lost connection back."""

BATCH_INTERVAL: Final = 0.1
"""Seconds (s) that rows of the time file wait for others: what a crash can cost."""


class ExchangeOptions(NamedTuple):
    """The parameters of an exchange: a stamp every `interval_ns`, `stamps` of them each way."""

    id: str
    interval_ns: int
    stamps: int

    @classmethod
    def parse(cls, identity: str, interval: float, duration: float) -> Self:
        """Check the values of the command line (in s); raises UsageError."""
        try:
            check_id(identity)
        except ValueError as error:
            raise UsageError(f"--id: {error}") from None
        if not 0 < interval <= duration:
            raise UsageError("--interval must be more than 0 and at most --duration")
        return cls(identity, round(interval * 1e9), round(duration / interval))


async def measure(
    options: ExchangeOptions, path: Path, settings: Settings, display: ProgressDisplay
) -> tuple[ExchangeRecord, ExchangeReport]:
    """Run the exchange; return the record and its report.

    Cancelling ends the exchange early, with all files in order. Raises UsageError (the file), and
    CannotConnectError, RefusedError, AnswerTimeoutError, ProtocolError if no stamp was sent.
    """
    record = ExchangeRecord(options.interval_ns, options.stamps)
    clock = SteadyClock()
    keepalive = max(settings.timeout, 3 * options.interval_ns / 1e9)

    async def open_protocol() -> StampProtocol:
        return await StampProtocol.open(settings.server, settings.timeout, keepalive)

    def notify(event: Reconnecting | Reconnected) -> None:
        display.say(describe(event) or "")

    with display:
        async with open_time_file(path, display.say) as file:
            run = ExchangeRun(
                options.id,
                record,
                file=file,
                clock=clock,
                reconnector=Reconnector(
                    open_protocol, Backoff(), max(GIVE_UP_AFTER, settings.timeout), notify
                ),
                answer_timeout=settings.timeout,
                notify=notify,
            )
            failure = await _with_display(run.run(), record, clock, display)
    rows = len(record.sent_ns) + len(record.arrivals) - file.lost
    return record, ExchangeReport(
        id=options.id,
        server=str(settings.server),
        file=str(path),
        interval_ns=options.interval_ns,
        rows=rows,
        rows_lost=file.lost,
        is_interrupted=run.is_interrupted,
        failure=failure,
        outages=tuple(run.outages),
        server_counts=run.server,
        analysis=analyze(record),
    )


@asynccontextmanager
async def open_time_file(
    path: Path, notify: Callable[[str], object]
) -> AsyncIterator[TimeFileThread]:
    """Open the time file for as long as the block lasts; raises UsageError when it cannot be."""
    file = TimeFileThread(path, BATCH_INTERVAL, notify)
    try:
        await file.open()
    except BlockingIOError:
        raise UsageError(
            f"{path} is being written by another client; wait for it, or choose another --id"
        ) from None
    except OSError as error:
        raise UsageError(f"cannot write {path}: {why(error)}; choose another --out") from None
    except ValueError as error:
        raise UsageError(f"cannot use {path}: {error}") from None
    try:
        yield file
    finally:
        await file.close()


async def _with_display(
    running: Coroutine[Any, Any, str],
    record: ExchangeRecord,
    clock: SteadyClock,
    display: ProgressDisplay,
) -> str:
    """Await `running` while `display` shows samples of `record`."""
    async with task_group() as group:
        watcher = group.create_task(_watch(record, clock, display))
        failure = await running
        watcher.cancel()
    return failure


async def _watch(record: ExchangeRecord, clock: SteadyClock, display: ProgressDisplay) -> None:
    sampler = Sampler(record)
    while display.period:
        await asyncio.sleep(display.period)
        sample = sampler.sample(clock.wall_ns(clock.monotonic_ns()))
        await asyncio.to_thread(display.show, sample)
