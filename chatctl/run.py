"""A whole exchange, over as many connections as it takes."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from chatctl.errors import AnswerTimeoutError, CannotConnectError, ClientError, RefusedError
from chatctl.events import Reconnected
from chatctl.leg import ExchangeConnection
from chatctl.link import ConnectionLostError
from chatctl.redial import Reconnector
from chatctl.stamping import StampClock, StampRows
from chatctl.stamplink import StampProtocol
from common.alarm import Alarm
from common.exchange import ExchangeRecord
from common.messages.timestamp import ExchangeEnd

_TRANSIENT_REASONS: Final = frozenset(
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


class ExchangeRun:
    """Fills `record`; a connection that is lost comes back and carries what is still to be sent.

    `answer_timeout` (s) is for the server's grant; `notify` is called when the exchange goes on
    after a loss.
    """

    def __init__(
        self,
        identity: str,
        record: ExchangeRecord,
        *,
        file: StampRows,
        clock: StampClock,
        reconnector: Reconnector[StampProtocol],
        answer_timeout: float,
        notify: Callable[[Reconnected], object],
    ) -> None:
        self.outages: list[Outage] = []
        self.server: ServerCounts | None = None
        """What the server counted; None when it never said."""
        self.is_interrupted = False
        self._identity = identity
        self._record = record
        self._file = file
        self._clock = clock
        self._reconnector = reconnector
        self._timeout = answer_timeout
        self._notify = notify
        self._timer = Alarm()
        self._lost_since: tuple[int, str] | None = None

    async def run(self) -> str:
        """Run to the end, and return why it could not, or "".

        To cancel it ends it early and well. Raises CannotConnectError, RefusedError,
        AnswerTimeoutError and ProtocolError when not one stamp was sent.
        """
        try:
            protocol = await self._reconnector.connect()
            while not await self._run_connection(protocol):
                protocol = await self._reconnector.reconnect(immediately=False)
        except asyncio.CancelledError:
            self.is_interrupted = True
            _uncancel()
        except ClientError as error:
            if not self._record.sent_ns:
                raise
            return str(error)
        finally:
            self._timer.close()
            self._end_outage(None)
        return ""

    async def _run_connection(self, protocol: StampProtocol) -> bool:
        """Exchange over `protocol`; return whether nothing is left to be sent."""
        loop = asyncio.get_running_loop()
        connection = ExchangeConnection(
            protocol, self._record, self._file, self._clock, self._timer
        )
        loop.add_reader(self._timer, connection.on_timer)
        try:
            await connection.request(self._identity, self._timeout)
            self._end_outage(time.monotonic_ns())
            await connection.finish()
        except (ConnectionLostError, ClientError) as error:
            self._on_connection_lost(error)
        finally:
            loop.remove_reader(self._timer)
            protocol.close()
            self._add_counts(connection.counts)
        return len(self._record.sent_ns) == self._record.expected

    def _add_counts(self, end: ExchangeEnd | None) -> None:
        if end is not None:
            self.server = self.server or ServerCounts()
            self.server.add(end)

    def _on_connection_lost(self, error: ConnectionLostError | ClientError) -> None:
        """Note that the connection is gone; raise where there is no use in coming back."""
        if isinstance(error, ConnectionLostError) and not self._record.sent_ns:
            detail = f"the connection was lost before the exchange began: {error}"
            raise CannotConnectError(detail) from None
        is_transient = isinstance(error, ConnectionLostError | AnswerTimeoutError) or (
            isinstance(error, RefusedError) and error.reason in _TRANSIENT_REASONS
        )
        if not is_transient or not self._record.sent_ns:
            raise error
        self._reconnector.connection_lost(str(error))
        if self._lost_since is None:
            self._lost_since = time.monotonic_ns(), str(error)

    def _end_outage(self, now_ns: int | None) -> None:
        """Note that the exchange goes on, or, without `now_ns`, that it never will."""
        if self._lost_since is None:
            return
        lost_ns, reason = self._lost_since
        self._lost_since = None
        away_ns = None if now_ns is None else now_ns - lost_ns
        self.outages.append(Outage(self._clock.wall_ns(lost_ns), away_ns, reason))
        if away_ns is not None:
            self._reconnector.connected()
            self._notify(Reconnected(away_ns / 1e9))


def _uncancel() -> None:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
