"""The part of an exchange that one connection carries.

Three things happen in turn: the server grants it, stamps go both ways until all are there, and both
sides part with their counts.
"""

import asyncio
from typing import Final

from chatctl.errors import AnswerTimeoutError, ProtocolError, RefusedError
from chatctl.link import ConnectionLostError
from chatctl.pacer import Alarm, Pacer
from chatctl.stamping import Clock, Rows, Stamping
from chatctl.stamplink import StampLink
from common import exchange
from common.codec import BadLine, encode
from common.messages.base import Error, Message
from common.messages.timestamp import Exchange, ExchangeEnd, Stamp

FAREWELL: Final = 2.0
"""How long (s) to wait for the server's counts."""


class Leg:
    """Exchanges over `link` what `record` still lacks; a block of `rows` holds what came of it."""

    def __init__(
        self,
        link: StampLink,
        record: exchange.Exchange,
        rows: Rows,
        clock: Clock,
        alarm: Alarm,
    ) -> None:
        self.counts: ExchangeEnd | None = None
        """What the server counted; None when it did not say."""
        self._link = link
        self._interval_ns = record.interval_ns
        self._rows = rows
        self._clock = clock
        self._stamps = Stamping(link, record, rows, clock)
        self._pacer = Pacer(clock.monotonic_ns, alarm, record.interval_ns, self._send)
        self._began_ns = 0
        loop = asyncio.get_running_loop()
        self._granted: asyncio.Future[None] = loop.create_future()
        self._over: asyncio.Future[None] = loop.create_future()
        self._parted: asyncio.Future[None] = loop.create_future()
        link.listen(self._hear, self._fail)

    def fire(self) -> None:
        """Send what is due; called when the alarm goes off."""
        self._pacer.fire()

    async def ask(self, identity: str, within: float) -> None:
        """Ask for the exchange and wait up to `within` s; once granted, it runs.

        Raises RefusedError, AnswerTimeoutError, ProtocolError, LinkLostError.
        """
        interval_ms = self._interval_ns / 1e6
        duration_s = self._stamps.expected * interval_ms / 1e3
        self._link.write(encode(Exchange(identity, _short(interval_ms), _short(duration_s))))
        try:
            async with asyncio.timeout(within):
                await self._granted
        except TimeoutError:
            detail = f"the server did not answer within {within:g} s"
            raise AnswerTimeoutError(detail) from None

    async def finish(self) -> None:
        """Wait for the last stamp; however that ends, when it is cancelled too, close the block.

        Raises ProtocolError, LinkLostError.
        """
        is_whole = False
        try:
            await self._over
            is_whole = True
        finally:
            self._pacer.stop()
            await self._part()
            elapsed_ns = self._clock.monotonic_ns() - self._began_ns
            planned_ns = self._stamps.expected * self._interval_ns
            self._rows.end_block(planned_ns if is_whole else elapsed_ns, broken_off=not is_whole)

    async def _part(self) -> None:
        """Say that it is over, and hear what the server counted."""
        if not self._parted.done():
            self._link.write(encode(ExchangeEnd(self._stamps.sent, self._stamps.received)))
            await asyncio.wait([self._parted], timeout=FAREWELL)

    def _hear(self, message: Message | BadLine, arrived_ns: int) -> None:
        match message:
            case Stamp():
                self._stamps.take(message, arrived_ns)
                self._look_for_the_end()
            case Exchange():
                self._begin()
            case ExchangeEnd():
                self.counts = message
                _settle(self._parted)
            case Error():
                self._fail(
                    ConnectionLostError(message.detail)
                    if self._granted.done()
                    else RefusedError(message)
                )
            case BadLine(error=error) if error.reason != "unknown_code":
                raise ProtocolError(f"the server sent what is no message: {error.detail}")

    def _begin(self) -> None:
        if _settle(self._granted):
            self._began_ns = self._clock.monotonic_ns()
            self._rows.start_block()
            self._pacer.start(self._stamps.expected)

    def _send(self, now_ns: int, late_ns: int) -> None:
        self._stamps.send(now_ns, late_ns)
        self._look_for_the_end()

    def _look_for_the_end(self) -> None:
        if self._stamps.is_complete:
            _settle(self._over)

    def _fail(self, error: Exception) -> None:
        """End with `error` what is being waited for; there will be no counts."""
        self._pacer.stop()
        _settle(self._parted)
        if not _settle(self._granted, error):
            _settle(self._over, error)


def _settle(stage: "asyncio.Future[None]", error: Exception | None = None) -> bool:
    """End a stage; return whether it had not ended before."""
    if stage.done():
        return False
    if error is None:
        stage.set_result(None)
    else:
        stage.set_exception(error)
        stage.exception()  # it may be that nobody waits for it any more
    return True


def _short(number: float) -> float | int:
    """Return a number that is written without ``.0``."""
    return int(number) if number.is_integer() else number
