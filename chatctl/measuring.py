"""An exchange from the wish to the report: the run, its file, and who watches."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from chatctl.backoff import Backoff
from chatctl.clock import SteadyClock
from chatctl.display import Display
from chatctl.errors import UsageError
from chatctl.events import Reconnected, Reconnecting
from chatctl.outcome import Pulse, Report
from chatctl.redial import Reconnector
from chatctl.run import Run
from chatctl.settings import Settings
from chatctl.stamplink import StampLink
from chatctl.talk import describe
from chatctl.timefile import TimeFile
from common.clock.analysis import analyze
from common.exchange import Exchange, check_id

PATIENCE: Final = 60.0
"""How long (s) to try to get a lost connection back."""


class Wish(NamedTuple):
    """What is asked for: a stamp every `interval_ns`, `stamps` of them each way."""

    id: str
    interval_ns: int
    stamps: int

    @classmethod
    def check(cls, identity: str, interval: float, duration: float) -> Self:
        """Read what was typed, in s; raises UsageError."""
        try:
            check_id(identity)
        except ValueError as error:
            raise UsageError(f"--id: {error}") from None
        if not 0 < interval <= duration:
            raise UsageError("--interval is to be more than 0 and no longer than --duration")
        return cls(identity, round(interval * 1e9), round(duration / interval))


async def measure(
    wish: Wish, path: Path, settings: Settings, display: Display
) -> tuple[Exchange, Report]:
    """Exchange as wished; return the record and what is to be told of it.

    To cancel it ends it early and well. Raises UsageError (the file), CannotConnectError,
    RefusedError, AnswerTimeoutError, ProtocolError when not one stamp was sent.
    """
    record = Exchange(wish.interval_ns, wish.stamps)
    clock = SteadyClock()
    keepalive = max(settings.timeout, 3 * wish.interval_ns / 1e9)

    async def open_protocol() -> StampLink:
        return await StampLink.open(settings.server, settings.timeout, keepalive)

    def tell(event: Reconnecting | Reconnected) -> None:
        display.say(describe(event) or "")

    with display, TimeFile(path, display.say) as file:
        run = Run(
            wish.id,
            record,
            rows=file,
            clock=clock,
            reconnector=Reconnector(
                open_protocol, Backoff(), max(PATIENCE, settings.timeout), tell
            ),
            answer_timeout=settings.timeout,
            tell=tell,
        )
        failure = await _watched(run.go(), record, clock, display)
    rows = len(record.sent_ns) + len(record.arrivals) - file.lost
    return record, Report(
        id=wish.id,
        server=str(settings.server),
        file=str(path),
        interval_ns=wish.interval_ns,
        rows=rows,
        rows_lost=file.lost,
        is_interrupted=run.is_interrupted,
        failure=failure,
        outages=tuple(run.outages),
        server_counts=run.server,
        analysis=analyze(record),
    )


async def _watched(
    going: Coroutine[Any, Any, str], record: Exchange, clock: SteadyClock, display: Display
) -> str:
    """Await `going` while `display` shows how it goes."""
    try:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(_watch(record, clock, display))
            failure = await going
            watching.cancel()
    except BaseExceptionGroup as error:
        raise error.exceptions[0] from None
    return failure


async def _watch(record: Exchange, clock: SteadyClock, display: Display) -> None:
    pulse = Pulse(record)
    while display.period:
        await asyncio.sleep(display.period)
        beat = pulse.beat(clock.wall_ns(clock.monotonic_ns()))
        await asyncio.to_thread(display.show, beat)
