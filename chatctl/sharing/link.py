"""One connection between two peers: frames in, messages and pieces out, and nobody waits.

The socket is used as it is: a transport copies what it is given, and knows no way to hand a part of
a file to the kernel.
"""

import asyncio
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeAlias

from chatctl.dialing import reason
from chatctl.sharing.handles import Location
from chatctl.sharing.outgoing import Outgoing, Traffic
from chatctl.sharing.thinning import Thinning
from chatctl.sharing.wire import Frame, Reader, WireError
from common.addresses import Address
from common.catalogue import Catalogue
from common.codec import encode
from common.messages.base import Message

NOT_SENT: Final = 16 * 2**10
"""Bytes that the kernel keeps besides those under way; what waits here can still be cancelled."""

MAX_LINES: Final = 4 * 2**20
"""Bytes of lines that may wait for a peer; more is for one that asks and does not read."""

_CHUNK: Final = 256 * 2**10
_TCP_NOTSENT_LOWAT: Final = getattr(socket, "TCP_NOTSENT_LOWAT", None)
_TCP_INFO: Final = getattr(socket, "TCP_INFO", None)
# Where the field tcpi_min_rtt (us) stands in struct tcp_info (linux/tcp.h).
_MIN_RTT: Final = 148

# What an IPv4 address looks like to a socket that takes both (RFC 4291, 2.5.5.2).
_MAPPED: Final = "::ffff:"

Hear: TypeAlias = Callable[[Frame], object]
Lose: TypeAlias = Callable[[Exception], object]


def seen_as(host: str, port: int) -> Address:
    """Return the address of the other side, as people write it, from what a socket tells."""
    return Address(host.removeprefix(_MAPPED), port)


class LinkLostError(Exception):
    """The connection is gone; the text completes "it …"."""


class Link:
    """Calls `hear` for each frame, and `lose` once, with the error that ended it.

    That is LinkLostError or WireError, which `hear` may raise, too. Times are monotonic, in s.
    """

    def __init__(
        self, connected: socket.socket, catalogue: Catalogue[Any], hear: Hear, lose: Lose
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.hear = hear
        self.lose = lose
        self.reader = Reader(catalogue)
        self.address = seen_as(*connected.getpeername()[:2])
        self.is_over = False
        self.heard_at = self.said_at = time.monotonic()
        """When bytes came last, and when something was last sent."""
        self._moved_at = self.said_at
        self._socket = connected
        self._fd = connected.fileno()
        self._buffer = bytearray(_CHUNK)
        self._out = Outgoing(connected)
        self._is_flushing = self._is_blocked = self._is_paused = False
        self._thinning = Thinning()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._emptied = asyncio.Event()
        connected.setblocking(False)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if _TCP_NOTSENT_LOWAT is not None:
            connected.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, NOT_SENT)
        self._loop.add_reader(self._fd, self._read)

    @property
    def round_trip(self) -> float:
        """The shortest time (s) in which the other side has acknowledged anything; 0 if unknown."""
        if _TCP_INFO is None:
            return 0.0
        told = self._socket.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _MIN_RTT + 4)
        if len(told) < _MIN_RTT + 4:
            return 0.0
        return int.from_bytes(told[_MIN_RTT:], sys.byteorder) / 1e6

    def send(
        self,
        message: Message,
        raw: bytes | Location | None = None,
        traffic: Traffic | None = None,
    ) -> None:
        """Queue a message, and the raw bytes that it announces; they count in `traffic`.

        A message without any may overtake those with.
        """
        if self.is_over:
            return
        self.said_at = time.monotonic()
        if not self._out:
            self._moved_at = self.said_at
            self._emptied.clear()
        if raw is None:
            self._out.put(encode(message))
        else:
            self._out.put_parcel(encode(message), raw, traffic)
        if self._out.lines > MAX_LINES:
            fault = WireError("does not read what it asks for")
            self._loop.call_soon(self._end, fault)
        elif not self._is_flushing and not self._is_blocked:
            self._is_flushing = True
            self._loop.call_soon(self._flush)

    def stuck_for(self, now: float) -> float:
        """Return how long (s) nothing of what waits has gone to the kernel."""
        return now - self._moved_at if self._out else 0.0

    def lose_with(self, how: str) -> None:
        """Give the connection up; `how` completes "it …"."""
        self._end(LinkLostError(how))

    def pause(self) -> None:
        """Read no more for now, so that TCP slows the other side down."""
        self._is_paused = True
        if not self.is_over:
            self._loop.remove_reader(self._fd)

    def resume(self) -> None:
        """Read on."""
        self._is_paused = False
        self._listen()

    def _listen(self) -> None:
        if not (self.is_over or self._is_paused):
            self._loop.add_reader(self._fd, self._read)

    async def finish(self, within: float) -> None:
        """Write what waits, have the other side close, and close; all that within so many s."""
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(within):
                while self._out and not self.is_over:
                    await self._emptied.wait()
                if not self.is_over:
                    self._socket.shutdown(socket.SHUT_WR)
                    await self._ended
        self.close()

    def close(self) -> None:
        """Let go at once, and tell nobody."""
        self.lose = lambda _fault: None
        self._end(LinkLostError("was let go"))

    def _read(self) -> None:
        try:
            size = self._socket.recv_into(self._buffer)
        except BlockingIOError:
            return
        except OSError as fault:
            self._end(LinkLostError(f"is gone: {reason(fault)}"))
            return
        if not size:
            self._end(LinkLostError("closed the connection"))
            return
        self.heard_at = time.monotonic()
        try:
            for frame in self.reader.feed(self._buffer, size):
                self.hear(frame)
                if self.is_over:
                    return
        except WireError as fault:
            self._end(fault)
            return
        if pause := self._thinning.pause(size, self.reader.lacking, self.heard_at):
            self._loop.remove_reader(self._fd)
            self._loop.call_later(pause, self._listen)

    def _flush(self) -> None:
        self._is_flushing = False
        if self.is_over:
            return
        try:
            while self._out:
                self._out.push()
                self._moved_at = time.monotonic()
        except BlockingIOError:
            if not self._is_blocked:
                self._is_blocked = True
                self._loop.add_writer(self._fd, self._flush)
            return
        except OSError as fault:
            self._end(LinkLostError(f"is gone: {reason(fault)}"))
            return
        if self._is_blocked:
            self._is_blocked = False
            self._loop.remove_writer(self._fd)
        self._emptied.set()

    def _end(self, fault: Exception) -> None:
        if self.is_over:
            return
        self.is_over = True
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._socket.close()
        self._out.clear()
        self._emptied.set()
        if not self._ended.done():
            self._ended.set_result(None)
        self.lose(fault)
