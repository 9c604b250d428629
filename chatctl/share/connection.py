"""A TCP connection between two peers: frames in, messages and pieces out.

It uses the socket itself and no asyncio transport: a transport copies what it is given, and has no
way to send part of a file with `sendfile`.
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

NOTSENT_LOWAT: Final = 16 * 2**10
"""Unsent bytes that the kernel may hold; what waits in this program can still be cancelled."""

MAX_QUEUED_LINES: Final = 4 * 2**20
"""Bytes of lines that may wait for a peer; one that needs more sends requests and does not read."""

_CHUNK: Final = 256 * 2**10
_TCP_NOTSENT_LOWAT: Final = getattr(socket, "TCP_NOTSENT_LOWAT", None)
_TCP_INFO: Final = getattr(socket, "TCP_INFO", None)
# Offset of the field tcpi_min_rtt (us) in struct tcp_info (linux/tcp.h).
_MIN_RTT: Final = 148

# Prefix of IPv4-mapped addresses, which a dual-stack socket reports (RFC 4291, 2.5.5.2).
_MAPPED: Final = "::ffff:"

OnFrame: TypeAlias = Callable[[Frame], object]
OnClose: TypeAlias = Callable[[Exception], object]


class PeerConnectionLostError(Exception):
    """The connection was lost or closed; the text completes "it …"."""


class PeerConnection:
    """A connection that calls `on_frame` for each frame, and `on_close` once with an error.

    The error is PeerConnectionLostError or PeerProtocolError; `on_frame` may raise the latter to
    close the connection. Times are monotonic, in s.
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
        """When bytes were last received, and a message last sent."""
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
        """The shortest round trip time (s) that TCP has measured; 0 if unknown."""
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
        """Queue a message and the raw bytes that it announces, which count in `traffic`.

        A message without raw bytes may overtake those with.
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
            error = PeerProtocolError("does not read what it requested")
            self._loop.call_soon(self._close_with, error)
        elif not self._is_flushing and not self._is_blocked:
            self._is_flushing = True
            self._loop.call_soon(self._flush)

    def blocked_for(self, now: float) -> float:
        """Return how long (s) data has waited without any going to the kernel."""
        return now - self._last_progress_at if self._send_buffer else 0.0

    def abort(self, why: str) -> None:
        """Close the connection at once and call `on_close`; `why` completes "it …"."""
        self._close_with(PeerConnectionLostError(why))

    def pause(self) -> None:
        """Stop reading, so that TCP flow control slows the other side down."""
        self._is_paused = True
        if not self.is_closed:
            self._loop.remove_reader(self._fd)

    def resume(self) -> None:
        """Start reading again."""
        self._is_paused = False
        self._resume_reading()

    async def close_gracefully(self, within: float) -> None:
        """Send what waits, shut down writing, wait for the other side to close; for `within` s."""
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(within):
                while self._send_buffer and not self.is_closed:
                    await self._emptied.wait()
                if not self.is_closed:
                    self._socket.shutdown(socket.SHUT_WR)
                    await self._ended
        self.close()

    def close(self) -> None:
        """Close the connection at once, without calling `on_close`."""
        self.on_close = lambda _error: None
        self._close_with(PeerConnectionLostError("was closed"))

    def _resume_reading(self) -> None:
        if not (self.is_closed or self._is_paused):
            self._loop.add_reader(self._fd, self._read)

    def _read(self) -> None:
        try:
            size = self._socket.recv_into(self._buffer)
        except BlockingIOError:
            return
        except OSError as error:
            self._close_with(PeerConnectionLostError(f"disconnected: {reason(error)}"))
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
            self._close_with(PeerConnectionLostError(f"disconnected: {reason(error)}"))
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


def remote_address(host: str, port: int) -> Address:
    """Return the address of the other side, without the prefix of an IPv4-mapped address."""
    return Address(host.removeprefix(_MAPPED), port)


MIN_READ: Final = 24 * 2**10
"""Bytes that should gather before a read: 16 packets, and far less than any receive window."""

MAX_DELAY: Final = 0.036
"""The longest delay (s) of a read."""

MIN_DELAY: Final = 0.004
"""A shorter delay (s) is not worth a timer; above 6 MB/s every delay is shorter."""

_SAMPLE: Final = 0.02


class ReadCoalescer:
    """Delays reads while a piece comes in, so that TCP sends fewer acknowledgements.

    TCP acknowledges data when the program reads it. If it reads at once, nine peers that send
    3 Mbit/s each cost 1,200 acknowledgements a second, a fifth of an uplink of 3 Mbit/s (RFC 3449
    describes such asymmetric paths). Coalesced reads cost a quarter of that, and less CPU time. One
    per connection; times are monotonic, in s.
    """

    __slots__ = ("_bytes", "_elapsed", "_rate", "_read_at")

    def __init__(self) -> None:
        self._rate = 0.0  # B/s while a piece is coming in
        self._read_at: float | None = None
        self._bytes = 0
        self._elapsed = 0.0

    def delay(self, size: int, missing: int, now: float) -> float:
        """Return how long (s) to delay the next read, after `size` bytes were read at `now`.

        `missing` is how many bytes the current piece still lacks, 0 between pieces.
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
