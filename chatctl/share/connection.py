"""One connection between two peers: frames in, messages and pieces out, and nobody waits.

The socket is used as it is: a transport copies what it is given, and knows no way to hand a part of
a file to the kernel.


When to read on, so that what others send costs few acknowledgements.
"""

import asyncio
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeAlias

from chatctl.client.connection import reason
from chatctl.share.frames import Frame, FrameDecoder, PeerProtocolError
from chatctl.share.send_buffer import SendBuffer, Traffic
from chatctl.share.storage.file_io import Location
from common.messages.base import Message
from common.protocol.codec import encode
from common.protocol.registry import MessageRegistry
from common.values import Address

MIN_READ: Final = 24 * 2**10
"""Bytes that are to gather before they are read: far less than any window, and 16 packets."""

MAX_DELAY: Final = 0.036
"""How long (s) they are waited for at most."""

MIN_DELAY: Final = 0.004
"""What is not worth to be waited for (s): on a connection of more than 6 MB/s nothing is."""

_SAMPLE: Final = 0.02


class ReadCoalescer:
    """Watches what one connection brings of pieces; times are monotonic, in s.

    TCP acknowledges what a program has read. To one that reads at once, nine peers that send it
    3 Mbit/s each cost 1,200 acknowledgements a second, a fifth of an uplink of 3 Mbit/s (RFC 3449
    tells of such paths); what gathers costs a quarter of that, and less of the CPU, too.
    """

    __slots__ = ("_bytes", "_elapsed", "_rate", "_read_at")

    def __init__(self) -> None:
        self._rate = 0.0  # B/s while a piece is coming in
        self._read_at: float | None = None
        self._bytes = 0
        self._elapsed = 0.0

    def delay(self, size: int, missing: int, now: float) -> float:
        """Return how long (s) to read nothing after the `size` bytes that were read at `now`.

        `missing` are the bytes that a piece still lacks, 0 between pieces.
        """
        if self._read_at is not None:
            self._bytes += size
            self._elapsed += now - self._read_at
            if self._elapsed >= _SAMPLE:
                self._rate = self._bytes / self._elapsed
                self._bytes, self._elapsed = 0, 0.0
        self._read_at = now if missing else None
        if not (missing and self._rate):
            return 0.0
        delay = min(min(MIN_READ, missing) / self._rate, MAX_DELAY)
        return delay if delay >= MIN_DELAY else 0.0


NOTSENT_LOWAT: Final = 16 * 2**10
"""Bytes that the kernel keeps besides those under way; what waits here can still be cancelled."""

MAX_QUEUED_LINES: Final = 4 * 2**20
"""Bytes of lines that may wait for a peer; more is for one that asks and does not read."""

_CHUNK: Final = 256 * 2**10
_TCP_NOTSENT_LOWAT: Final = getattr(socket, "TCP_NOTSENT_LOWAT", None)
_TCP_INFO: Final = getattr(socket, "TCP_INFO", None)
# Where the field tcpi_min_rtt (us) stands in struct tcp_info (linux/tcp.h).
_MIN_RTT: Final = 148

# What an IPv4 address looks like to a socket that takes both (RFC 4291, 2.5.5.2).
_MAPPED: Final = "::ffff:"

OnFrame: TypeAlias = Callable[[Frame], object]
OnClose: TypeAlias = Callable[[Exception], object]


def remote_address(host: str, port: int) -> Address:
    """Return the address of the other side, as people write it, from what a socket tells."""
    return Address(host.removeprefix(_MAPPED), port)


class PeerConnectionLostError(Exception):
    """The connection is gone; the text completes "it …"."""


class PeerConnection:
    """Calls `on_frame` for each frame, and `on_close` once, with the error that ended it.

    That is PeerConnectionLostError or PeerProtocolError, which `on_frame` may raise, too. Times are
    monotonic, in s.
    """

    def __init__(
        self,
        sock: socket.socket,
        registry: MessageRegistry[Any],
        on_frame: OnFrame,
        on_close: OnClose,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.on_frame = on_frame
        self.on_close = on_close
        self.decoder = FrameDecoder(registry)
        self.address = remote_address(*sock.getpeername()[:2])
        self.is_closed = False
        self.last_received_at = self.last_sent_at = time.monotonic()
        """When bytes came last, and when something was last sent."""
        self._last_progress_at = self.last_sent_at
        self._socket = sock
        self._fd = sock.fileno()
        self._buffer = bytearray(_CHUNK)
        self._send_buffer = SendBuffer(sock)
        self._is_flushing = self._is_blocked = self._is_paused = False
        self._coalescer = ReadCoalescer()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._emptied = asyncio.Event()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if _TCP_NOTSENT_LOWAT is not None:
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, NOTSENT_LOWAT)
        self._loop.add_reader(self._fd, self._read)

    @property
    def round_trip(self) -> float:
        """The shortest time (s) in which the other side has acknowledged anything; 0 if unknown."""
        if _TCP_INFO is None:
            return 0.0
        tcp_info = self._socket.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _MIN_RTT + 4)
        if len(tcp_info) < _MIN_RTT + 4:
            return 0.0
        return int.from_bytes(tcp_info[_MIN_RTT:], sys.byteorder) / 1e6

    def send(
        self,
        message: Message,
        raw: bytes | Location | None = None,
        traffic: Traffic | None = None,
    ) -> None:
        """Queue a message, and the raw bytes that it announces; they count in `traffic`.

        A message without any may overtake those with.
        """
        if self.is_closed:
            return
        self.last_sent_at = time.monotonic()
        if not self._send_buffer:
            self._last_progress_at = self.last_sent_at
            self._emptied.clear()
        if raw is None:
            self._send_buffer.put_line(encode(message))
        else:
            self._send_buffer.put_payload(encode(message), raw, traffic)
        if self._send_buffer.lines > MAX_QUEUED_LINES:
            error = PeerProtocolError("does not read what it asks for")
            self._loop.call_soon(self._close_with, error)
        elif not self._is_flushing and not self._is_blocked:
            self._is_flushing = True
            self._loop.call_soon(self._flush)

    def blocked_for(self, now: float) -> float:
        """Return how long (s) nothing of what waits has gone to the kernel."""
        return now - self._last_progress_at if self._send_buffer else 0.0

    def abort(self, why: str) -> None:
        """Give the connection up; `why` completes "it …"."""
        self._close_with(PeerConnectionLostError(why))

    def pause(self) -> None:
        """Read no more for now, so that TCP slows the other side down."""
        self._is_paused = True
        if not self.is_closed:
            self._loop.remove_reader(self._fd)

    def resume(self) -> None:
        """Read on."""
        self._is_paused = False
        self._resume_reading()

    def _resume_reading(self) -> None:
        if not (self.is_closed or self._is_paused):
            self._loop.add_reader(self._fd, self._read)

    async def finish(self, within: float) -> None:
        """Write what waits, have the other side close, and close; all that within so many s."""
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(within):
                while self._send_buffer and not self.is_closed:
                    await self._emptied.wait()
                if not self.is_closed:
                    self._socket.shutdown(socket.SHUT_WR)
                    await self._ended
        self.close()

    def close(self) -> None:
        """Let go at once, and tell nobody."""
        self.on_close = lambda _error: None
        self._close_with(PeerConnectionLostError("was let go"))

    def _read(self) -> None:
        try:
            size = self._socket.recv_into(self._buffer)
        except BlockingIOError:
            return
        except OSError as error:
            self._close_with(PeerConnectionLostError(f"is gone: {reason(error)}"))
            return
        if not size:
            self._close_with(PeerConnectionLostError("closed the connection"))
            return
        self.last_received_at = time.monotonic()
        try:
            for frame in self.decoder.feed(self._buffer, size):
                self.on_frame(frame)
                if self.is_closed:
                    return
        except PeerProtocolError as error:
            self._close_with(error)
            return
        if delay := self._coalescer.delay(size, self.decoder.missing, self.last_received_at):
            self._loop.remove_reader(self._fd)
            self._loop.call_later(delay, self._resume_reading)

    def _flush(self) -> None:
        self._is_flushing = False
        if self.is_closed:
            return
        try:
            while self._send_buffer:
                self._send_buffer.send_some()
                self._last_progress_at = time.monotonic()
        except BlockingIOError:
            if not self._is_blocked:
                self._is_blocked = True
                self._loop.add_writer(self._fd, self._flush)
            return
        except OSError as error:
            self._close_with(PeerConnectionLostError(f"is gone: {reason(error)}"))
            return
        if self._is_blocked:
            self._is_blocked = False
            self._loop.remove_writer(self._fd)
        self._emptied.set()

    def _close_with(self, error: Exception) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._socket.close()
        self._send_buffer.clear()
        self._emptied.set()
        if not self._ended.done():
            self._ended.set_result(None)
        self.on_close(error)
