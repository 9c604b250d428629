"""One TCP connection: bytes in and out, nothing of what they mean."""

import asyncio
import logging
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from msgspec import Struct

from chatd.clock import Clock
from chatd.dialects import Dialect
from chatd.outbox import Outbox
from chatd.router import Router
from chatd.session import Session
from chatd.turn import Turn
from common.addresses import Address
from common.catalogue import FROM_CLIENT
from common.codec import BadLine, Decoder
from common.messages import ClientMessage, Error
from common.text import TextDecoder
from common.units import format_duration

logger: Final = logging.getLogger(__name__)

CHUNK: Final = 256 * 1024
"""Bytes that one read takes at most, and about what one write takes."""

LINGER: Final = 5.0
"""Seconds (s) that the other side has to take what is left and close, before it is cut off."""

MAX_INFLIGHT: Final = 1_024
"""Messages of one connection that may wait for the log; at that number it is not read from."""


class Terms(Struct, frozen=True):
    """What is granted to a connection: bytes a line and queued, seconds (s) of silence (0: any)."""

    max_line: int
    outbox_limit: int
    idle_timeout: float


class Connection:
    """Reads chunks, has each message served, and writes once per turn of the loop."""

    def __init__(
        self,
        reader: StreamReader,
        writer: StreamWriter,
        *,
        router: Router,
        turn: Turn,
        clock: Clock,
        terms: Terms,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._transport = writer.transport
        self._router = router
        self._clock = clock
        self._terms = terms
        self._loop = asyncio.get_running_loop()
        self._decoder: Decoder[ClientMessage] | TextDecoder = Decoder(FROM_CLIENT, terms.max_line)
        self._outbox = Outbox(turn.wake, self._flush)
        self._draining: asyncio.Task[None] | None = None
        self._is_eof_sent = False
        self._last_read = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self.session = Session(_address(writer), clock.monotonic(), self._outbox, self)
        self.session.local_host = (writer.get_extra_info("sockname") or ("?",))[0]
        # The transport is to hold only what the kernel would not take at once; the rest stays in
        # the outbox, where it is counted and can be dropped message by message.
        self._transport.set_write_buffer_limits(high=0)
        _keep_alive(writer)

    async def run(self) -> None:
        """Serve the connection until it is over; raises nothing."""
        if not self.session.is_closing:
            logger.info("%s: connected", self.session)
            if self._terms.idle_timeout:
                self._watch_idleness()
        try:
            await self._serve()
        except OSError as fault:
            self.session.close(f"connection lost ({fault.strerror or fault})")
        except Exception:
            logger.exception("%s: failed", self.session)
            self.session.close("a fault of the server")
        finally:
            await self._end()

    def hang_up(self) -> None:
        """Write what is queued, then close; the session calls this when it is over."""
        logger.info("%s: disconnected: %s", self.session, self.session.how_it_ended)
        self._router.closed(self.session)
        self._rearm(LINGER, self._transport.abort)
        self._flush()

    def abort(self) -> None:
        """Cut the connection off, whatever is still to be written."""
        self._transport.abort()

    async def drained(self) -> None:
        """Wait until what is queued went to the kernel; let others have their turn anyway."""
        self._flush()
        if self._draining is None:
            await asyncio.sleep(0)
        while self._draining is not None:
            await asyncio.wait([self._draining])

    async def _serve(self) -> None:
        session = self.session
        while chunk := await self._reader.read(CHUNK):
            # Once closing, what still comes is read and dropped: to close with unread bytes would
            # reset the connection and could destroy the last answer on its way.
            if not session.is_closing:
                self._last_read = self._loop.time()
                session.read_ns = self._clock.wall_ns()
                await self._handle(self._decoder.feed(chunk))
        if not session.is_closing:
            await self._handle(self._decoder.finish())
            await session.inflight.below(1)
            await session.owed.below(1)
            session.close("end of input")

    async def _handle(self, messages: Iterable[ClientMessage | BadLine]) -> None:
        session, outbox, dispatch = self.session, self._outbox, self._router.dispatch
        for message in messages:
            if session.is_closing:
                return
            rest = dispatch(session, message)
            if rest is not None:
                await self._router.settle(session, message, rest)
                if outbox.dialect is Dialect.TEXT and isinstance(self._decoder, Decoder):
                    unread = self._decoder.take_rest()
                    self._decoder = TextDecoder(self._terms.max_line)
                    await self._handle(self._decoder.feed(unread))
                    return
            if outbox.is_busy or session.inflight.count >= MAX_INFLIGHT:
                await self.drained()
                await session.inflight.below(MAX_INFLIGHT)

    def _flush(self) -> None:
        """Hand what is queued to the kernel; the turn calls this, once for all of a turn."""
        transport = self._transport
        if transport.is_closing():
            self._outbox.clear()
            # After a half-close nobody reads, and only a write finds out that nobody listens.
            self.session.close("connection lost")
            return
        while self._draining is None:
            encoded = self._outbox.take(CHUNK)
            if not encoded:
                if self.session.is_closing and not self._is_eof_sent:
                    self._is_eof_sent = True
                    transport.write_eof()
                elif self._outbox.refill is not None:
                    self._outbox.refill()
                return
            transport.write(encoded)
            if transport.get_write_buffer_size():
                self._draining = self._loop.create_task(self._drain())
                self._outbox.is_blocked = True
        self._outbox.pack()  # so that what cannot be written counts
        queued = self._outbox.size + transport.get_write_buffer_size()
        if queued > self._terms.outbox_limit and not self.session.is_closing:
            self._cut_off(queued)

    async def _drain(self) -> None:
        try:
            await self._writer.drain()
        except OSError as fault:
            self.session.close(f"connection lost ({fault.strerror or fault})")
            return
        finally:
            self._draining = None
            self._outbox.is_blocked = False
        if self.session.is_closing:
            self._rearm(LINGER, self._transport.abort)
        self._flush()

    def _cut_off(self, queued: int) -> None:
        self._outbox.clear()
        detail = (
            f"you do not read: {queued} bytes were waiting for you and the limit is "
            f"{self._terms.outbox_limit}; come back and resume after id {self._outbox.taken_id}, "
            "the last that was handed over"
        )
        self.session.close("slow consumer", Error("slow_consumer", detail))

    def _watch_idleness(self) -> None:
        timeout = self._terms.idle_timeout
        rest = self._last_read + timeout - self._loop.time()
        if rest > 0:
            self._rearm(rest, self._watch_idleness)
            return
        detail = f"nothing was heard from you for {format_duration(timeout)}; come back any time"
        self.session.close("idle", Error("idle_timeout", detail))

    def _rearm(self, delay: float, call: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay, call)

    async def _end(self) -> None:
        while self._draining is not None:
            await asyncio.wait([self._draining])
        if self._timer is not None:
            self._timer.cancel()
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()


def _address(writer: StreamWriter) -> str:
    # A client may be gone before its connection is accepted; then there is no name to get.
    host, port = (writer.get_extra_info("peername") or ("?", 0))[:2]
    return str(Address(host, port))


def _keep_alive(writer: StreamWriter) -> None:
    """Have the kernel find out, in about two minutes, that the other host is gone."""
    connected = writer.get_extra_info("socket")
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, option):
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
