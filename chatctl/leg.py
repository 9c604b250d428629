"""The part of an exchange that one connection carries.

Three things happen in turn: the server grants it, stamps go both ways until all are there, and both
sides exchange their counts.
"""

import asyncio
from typing import Final

from chatctl.errors import AnswerTimeoutError, ProtocolError, RefusedError
from chatctl.link import ConnectionLostError
from chatctl.pacer import Pacer, TimerSource
from chatctl.stamping import StampClock, StampRecorder, StampRows
from chatctl.stamplink import StampProtocol
from common import exchange
from common.codec import InvalidLine, encode
from common.messages.base import Error, Message
from common.messages.timestamp import Exchange, ExchangeEnd, Stamp

END_TIMEOUT: Final = 2.0
"""How long (s) to wait for the server's counts."""


class ExchangeConnection:
    """Exchanges over `protocol` what `record` still lacks, and writes it to a block of `file`."""

    def __init__(
        self,
        protocol: StampProtocol,
        record: exchange.ExchangeRecord,
        file: StampRows,
        clock: StampClock,
        timer: TimerSource,
    ) -> None:
        self.counts: ExchangeEnd | None = None
        """What the server counted; None when it did not say."""
        self._protocol = protocol
        self._interval_ns = record.interval_ns
        self._file = file
        self._clock = clock
        self._recorder = StampRecorder(protocol, record, file, clock)
        self._pacer = Pacer(clock.monotonic_ns, timer, record.interval_ns, self._send)
        self._began_ns = 0
        loop = asyncio.get_running_loop()
        self._granted: asyncio.Future[None] = loop.create_future()
        self._completed: asyncio.Future[None] = loop.create_future()
        self._counts_received: asyncio.Future[None] = loop.create_future()
        protocol.set_handlers(self._on_message, self._fail)

    def on_timer(self) -> None:
        """Send what is due; called when the timer expires."""
        self._pacer.on_timer()

    async def request(self, identity: str, within: float) -> None:
        """Ask for the exchange and wait up to `within` s; once granted, it runs.

        Raises RefusedError, AnswerTimeoutError, ProtocolError, ConnectionLostError.
        """
        interval_ms = self._interval_ns / 1e6
        duration_s = self._recorder.expected * interval_ms / 1e3
        self._protocol.write(
            encode(Exchange(identity, _compact_number(interval_ms), _compact_number(duration_s)))
        )
        try:
            async with asyncio.timeout(within):
                await self._granted
        except TimeoutError:
            detail = f"the server did not answer within {within:g} s"
            raise AnswerTimeoutError(detail) from None

    async def finish(self) -> None:
        """Wait for the last stamp; however that ends, when it is cancelled too, close the block.

        Raises ProtocolError, ConnectionLostError.
        """
        is_complete = False
        try:
            await self._completed
            is_complete = True
        finally:
            self._pacer.stop()
            await self._exchange_counts()
            elapsed_ns = self._clock.monotonic_ns() - self._began_ns
            planned_ns = self._recorder.expected * self._interval_ns
            self._file.end_block(
                planned_ns if is_complete else elapsed_ns, broken_off=not is_complete
            )

    async def _exchange_counts(self) -> None:
        """Send the end, and wait for what the server counted."""
        if not self._counts_received.done():
            self._protocol.write(encode(ExchangeEnd(self._recorder.sent, self._recorder.received)))
            await asyncio.wait([self._counts_received], timeout=END_TIMEOUT)

    def _on_message(self, message: Message | InvalidLine, received_ns: int) -> None:
        match message:
            case Stamp():
                self._recorder.receive(message, received_ns)
                self._check_complete()
            case Exchange():
                self._on_granted()
            case ExchangeEnd():
                self.counts = message
                _resolve(self._counts_received)
            case Error():
                self._fail(
                    ConnectionLostError(message.detail)
                    if self._granted.done()
                    else RefusedError(message)
                )
            case InvalidLine(error=error) if error.reason != "unknown_code":
                raise ProtocolError(f"the server sent what is no message: {error.detail}")

    def _on_granted(self) -> None:
        if _resolve(self._granted):
            self._began_ns = self._clock.monotonic_ns()
            self._file.start_block()
            self._pacer.start(self._recorder.expected)

    def _send(self, now_ns: int, late_ns: int) -> None:
        self._recorder.send(now_ns, late_ns)
        self._check_complete()

    def _check_complete(self) -> None:
        if self._recorder.is_complete:
            _resolve(self._completed)

    def _fail(self, error: Exception) -> None:
        """End with `error` what is being waited for; there will be no counts."""
        self._pacer.stop()
        _resolve(self._counts_received)
        if not _resolve(self._granted, error):
            _resolve(self._completed, error)


def _resolve(step: "asyncio.Future[None]", error: Exception | None = None) -> bool:
    """End a step; return whether it had not ended before."""
    if step.done():
        return False
    if error is None:
        step.set_result(None)
    else:
        step.set_exception(error)
        step.exception()  # it may be that nobody waits for it any more
    return True


def _compact_number(number: float) -> float | int:
    """Return a number that is written without ``.0``."""
    return int(number) if number.is_integer() else number
