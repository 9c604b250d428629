"""One connection: how it is read, written to and closed.

`reader` decodes and serves what comes in, the send queue holds what goes out. A broadcast passes
these modules from socket to socket, and returns to none that it left: net/connection, net/reader,
protocol/codec (with registry), core/router, services/chat; in the log messagelog/sqlite/log,
group_commit, thread and statements; then core/fanout (with presence and formats), core/send_queue,
net/write_batcher.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from chatd.config import ConnectionLimits
from chatd.core.metrics import Metrics
from chatd.core.router import Router
from chatd.core.send_queue import SendQueue
from chatd.core.session import Session
from chatd.core.timer_wheel import TimerWheel
from chatd.net.multiplex import Accepted, ServerProtocol, describe_loss
from chatd.net.reader import ConnectionReader
from chatd.net.write_batcher import MAX_WRITE, WriteBatcher
from common.messages import Error
from common.system.clock import Clock
from common.values import format_duration

logger: Final = logging.getLogger(__name__)

LINGER: Final = 5.0
"""Seconds (s) that the client has to read what is left and close, before it is cut off."""


class Environment(Struct, frozen=True):
    """What all connections of a server share."""

    router: Router
    write_batcher: WriteBatcher
    wheel: TimerWheel
    clock: Clock
    limits: ConnectionLimits
    metrics: Metrics


class Connection(ServerProtocol):
    """A connection in the daemon's own protocol; the format of its session frames the messages.

    It serves each chunk as it comes: to wake a task for each took a fifth of the time of a ping.
    """

    __slots__ = (
        "_drain_waiter",
        "_environment",
        "_is_eof_read",
        "_is_eof_sent",
        "_last_read",
        "_loop",
        "_monotonic",
        "_on_closed",
        "_reader",
        "_release_streams",
        "_send_queue",
        "_timer",
        "_transport",
        "_wall_ns",
        "_wheel",
        "session",
    )

    def __init__(
        self,
        accepted: Accepted,
        environment: Environment,
        on_closed: Callable[["Connection"], None],
    ) -> None:
        self._transport = accepted.transport
        self._environment = environment
        self._wall_ns = environment.clock.wall_ns
        self._monotonic = environment.clock.monotonic
        self._wheel = environment.wheel
        self._on_closed = on_closed
        self._release_streams = accepted.release
        self._loop = asyncio.get_running_loop()
        self._send_queue = SendQueue(
            environment.write_batcher.schedule, self._flush, accepted.writer
        )
        self._drain_waiter: asyncio.Future[None] | None = None
        self._is_eof_read = False
        self._is_eof_sent = False
        self._last_read = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self.session = Session(accepted.address, accepted.connected_at, self._send_queue, self)
        self._reader = ConnectionReader(
            self.session,
            environment.router,
            self._transport,
            environment.metrics,
            environment.limits.max_line,
        )
        # The transport holds only what the kernel did not take at once. The rest stays in the send
        # queue, where it is counted and can be dropped.
        self._transport.set_write_buffer_limits(high=0)

    @property
    def local_host(self) -> str:
        """The address of this machine that the client connected to."""
        host: str = (self._transport.get_extra_info("sockname") or ("?",))[0]
        return host

    def start(self) -> None:
        """Begin to watch for silence; a connection that is refused never starts."""
        if self._environment.limits.idle_timeout:
            self._check_idle()

    def close(self, reason: str, error: Error) -> None:
        """End the session after what is queued, and `error`, have been written."""
        self.session.close(reason, error)

    def close_transport(self) -> None:
        """Write what is queued, then close; the session calls this when it is over."""
        logger.info("%s: disconnected: %s", self.session, self.session.close_reason)
        self._environment.router.closed(self.session)
        self._send_queue.writer = None
        self._restart_timer(LINGER, self._transport.abort)
        self._flush()

    def close_idle(self) -> None:
        """Close because nothing came for too long."""
        timeout = self._environment.limits.idle_timeout
        detail = f"you sent nothing for {format_duration(timeout)}; reconnect when you need to"
        self.session.close("idle", Error("idle_timeout", detail))

    def abort(self) -> None:
        """Cut the connection off, whatever is still to be written."""
        self._transport.abort()

    async def drain(self) -> None:
        """Wait until the kernel has what is queued; yield to the loop at least once."""
        self._flush()
        if not self._send_queue.is_blocked:
            await asyncio.sleep(0)
        while self._send_queue.is_blocked:
            self._drain_waiter = self._drain_waiter or self._loop.create_future()
            await self._drain_waiter

    def data_received(self, chunk: bytes) -> None:
        """Serve the messages that are complete with `chunk`, after the timers that are due."""
        session = self.session
        wall_ns, monotonic = self._wall_ns, self._monotonic
        session.read_ns = wall_ns()
        # When a thousand connections are readable at once, a timer would wait for all of them:
        # that doubled the p99 of the lateness of 500 exchanges of 10 ms.
        if monotonic() >= self._wheel.next_deadline:
            self._wheel.advance()
        # A closing connection reads on and drops what it reads: closing with unread bytes resets
        # the connection, which can destroy the last answer on its way.
        if session.is_closing:
            return
        self._last_read = self._loop.time()
        self._reader.feed(chunk)

    def eof_received(self) -> bool:
        """Serve the message that the end of input completes; answers are still written."""
        self._is_eof_read = True
        if self.session.is_closing:
            self._flush()
        else:
            self._reader.finish()
        return True

    def pause_writing(self) -> None:
        """Stop writing: the kernel takes no more."""
        self._send_queue.is_blocked = True

    def resume_writing(self) -> None:
        """Go on writing."""
        self._resume_sending()
        if self.session.is_closing:
            self._restart_timer(LINGER, self._transport.abort)
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        """End the session, once nothing of it is served any more."""
        self._send_queue.writer = None  # the next connection may get its descriptor
        self._resume_sending()
        self.session.close(describe_loss(error))
        if self._timer is not None:
            self._timer.cancel()
        if self._reader.task is None:
            self._release()
        else:
            self._reader.task.add_done_callback(lambda _task: self._release())

    def _release(self) -> None:
        """Break the reference cycles through this object, so that all of it is freed at once.

        Garbage in a cycle waits until its generation is collected, and the generation of a long
        connection is collected rarely: with 8,000 connections at a time and 48,000 in all, chatd
        took three times the memory, 211 MB instead of 75.
        """
        self._release_streams()
        self._send_queue.flush = _flush_nothing
        self.session.detach()
        self._on_closed(self)

    def _flush(self, remainder: bytes = b"") -> None:
        """Write `remainder` and what is queued to the transport, until the kernel takes no more."""
        transport, send_queue = self._transport, self._send_queue
        if transport.is_closing():
            send_queue.clear()
            # After a half-close nothing is read: only a write finds out that the client is gone.
            self.session.close("connection lost")
            return
        if remainder:
            self._write(remainder)
        while not send_queue.is_blocked:
            encoded = send_queue.take(MAX_WRITE)
            if not encoded:
                if self.session.is_closing:
                    self._shut_down()
                elif send_queue.on_drained is not None:
                    send_queue.on_drained()
                return
            self._write(encoded)
        send_queue.encode_pending()  # so that what cannot be written counts
        queued = send_queue.size + transport.get_write_buffer_size()
        if queued > self._environment.limits.send_queue_limit and not self.session.is_closing:
            self._drop_slow_consumer(queued)

    def _write(self, encoded: bytes) -> None:
        self._transport.write(encoded)
        self._environment.metrics.bytes_sent += len(encoded)

    def _shut_down(self) -> None:
        """Send the end of output; close when the end of input has come as well."""
        if not self._is_eof_sent:
            self._is_eof_sent = True
            self._transport.write_eof()
        if self._is_eof_read:
            self._transport.close()

    def _resume_sending(self) -> None:
        self._send_queue.is_blocked = False
        if self._drain_waiter is not None:
            self._drain_waiter.set_result(None)
            self._drain_waiter = None

    def _drop_slow_consumer(self, queued: int) -> None:
        self._send_queue.clear()
        detail = (
            f"you read too slowly: {queued} bytes were queued for you and the limit is "
            f"{self._environment.limits.send_queue_limit}; reconnect and resume after id "
            f"{self._send_queue.last_sent_id}, the last one sent to you"
        )
        self.session.close("slow consumer", Error("slow_consumer", detail))

    def _check_idle(self) -> None:
        remaining = self._last_read + self._environment.limits.idle_timeout - self._loop.time()
        if remaining > 0:
            self._restart_timer(remaining, self._check_idle)
        else:
            self.close_idle()

    def _restart_timer(self, delay: float, callback: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay, callback)


def _flush_nothing(_remainder: bytes) -> None:
    """Stand in for the flush of a connection that is over."""
