"""A whole exchange, over as many connections as it takes."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from chatctl.errors import AnswerTimeoutError, CannotConnectError, ClientError, RefusedError
from chatctl.events import Reconnected
from chatctl.leg import Leg
from chatctl.link import ConnectionLostError
from chatctl.redial import Reconnector
from chatctl.stamping import Clock, Rows
from chatctl.stamplink import StampLink
from common.alarm import Alarm
from common.exchange import Exchange
from common.messages.timestamp import ExchangeEnd

_PASSING: Final = frozenset(
    {"too_many_requests", "server_full", "shutting_down", "storage_failed", "internal_error"}
)
"""Refusals that may be over in a moment."""


class Outage(Struct, frozen=True):
    """The connection was lost at `at_ns` (since the Unix epoch) because of `reason`.

    The exchange went on `away_ns` later; None when it never did.
    """

    at_ns: int
    away_ns: int | None
    reason: str


class ServerCounts(Struct):
    """What the server counted on the connections on which it said so."""

    sent: int = 0
    received: int = 0
    unwritten: int = 0

    def add(self, end: ExchangeEnd) -> None:
        """Add the counts of one connection."""
        self.sent += end.sent or 0
        self.received += end.received or 0
        self.unwritten += end.unwritten or 0


class Run:
    """Fills `record`; a connection that is lost comes back and carries what is still to be sent.

    `answer_timeout` (s) is for the server's grant; `tell` hears when the exchange goes on after a
    loss.
    """

    def __init__(
        self,
        identity: str,
        record: Exchange,
        *,
        rows: Rows,
        clock: Clock,
        reconnector: Reconnector[StampLink],
        answer_timeout: float,
        tell: Callable[[Reconnected], object],
    ) -> None:
        self.outages: list[Outage] = []
        self.server: ServerCounts | None = None
        """What the server counted; None when it never said."""
        self.is_interrupted = False
        self._identity = identity
        self._record = record
        self._rows = rows
        self._clock = clock
        self._reconnector = reconnector
        self._timeout = answer_timeout
        self._tell = tell
        self._alarm = Alarm()
        self._lost: tuple[int, str] | None = None

    async def go(self) -> str:
        """Run to the end, and return why it could not, or "".

        To cancel it ends it early and well. Raises CannotConnectError, RefusedError,
        AnswerTimeoutError and ProtocolError when not one stamp was sent.
        """
        try:
            link = await self._reconnector.connect()
            while not await self._carry(link):
                link = await self._reconnector.reconnect(at_once=False)
        except asyncio.CancelledError:
            self.is_interrupted = True
            _take_back_cancellation()
        except ClientError as error:
            if not self._record.sent_ns:
                raise
            return str(error)
        finally:
            self._alarm.close()
            self._end_outage(None)
        return ""

    async def _carry(self, link: StampLink) -> bool:
        """Exchange over `link`; return whether nothing is left to be sent."""
        loop = asyncio.get_running_loop()
        leg = Leg(link, self._record, self._rows, self._clock, self._alarm)
        loop.add_reader(self._alarm, leg.fire)
        try:
            await leg.ask(self._identity, self._timeout)
            self._end_outage(time.monotonic_ns())
            await leg.finish()
        except (ConnectionLostError, ClientError) as error:
            self._lose(error)
        finally:
            loop.remove_reader(self._alarm)
            link.close()
            self._note(leg.counts)
        return len(self._record.sent_ns) == self._record.expected

    def _note(self, end: ExchangeEnd | None) -> None:
        if end is not None:
            self.server = self.server or ServerCounts()
            self.server.add(end)

    def _lose(self, error: ConnectionLostError | ClientError) -> None:
        """Note that the connection is gone; raise where there is no use in coming back."""
        if isinstance(error, ConnectionLostError) and not self._record.sent_ns:
            detail = f"the connection was lost before the exchange began: {error}"
            raise CannotConnectError(detail) from None
        is_passing = isinstance(error, ConnectionLostError | AnswerTimeoutError) or (
            isinstance(error, RefusedError) and error.reason in _PASSING
        )
        if not is_passing or not self._record.sent_ns:
            raise error
        self._reconnector.connection_lost(str(error))
        if self._lost is None:
            self._lost = time.monotonic_ns(), str(error)

    def _end_outage(self, now_ns: int | None) -> None:
        """Note that the exchange goes on, or, without `now_ns`, that it never will."""
        if self._lost is None:
            return
        lost_ns, reason = self._lost
        self._lost = None
        away_ns = None if now_ns is None else now_ns - lost_ns
        self.outages.append(Outage(self._clock.wall_ns(lost_ns), away_ns, reason))
        if away_ns is not None:
            self._reconnector.connected()
            self._tell(Reconnected(away_ns / 1e9))


def _take_back_cancellation() -> None:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
