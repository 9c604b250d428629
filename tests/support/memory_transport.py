"""The server's end of a connection whose other end is in memory."""

import asyncio


class MemoryTransport(asyncio.Transport):
    """The server's end of a connection; `window` is how many bytes the other side still takes."""

    def __init__(
        self,
        protocol: asyncio.Protocol,
        writes: list["MemoryTransport"],
        peer: tuple[str, int] | None,
        window: int,
    ) -> None:
        super().__init__({"peername": peer})
        self.taken = bytearray()
        """What arrived at the other side."""
        self.is_eof_written = False
        self.is_reading_enabled = True
        self.close_reason: str | None = None
        self._protocol = protocol
        self._window = window
        self._writes = writes
        self._buffer = bytearray()
        self._high, self._low = 64 * 1024, 16 * 1024
        self._is_paused = False

    def open_window(self, size: int) -> None:
        """Let the other side take `size` bytes more."""
        self._window += size
        self._push()

    def lose(self, error: OSError) -> None:
        """Have the connection break with `error`."""
        self._end("lost", error)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.is_eof_written, "written after the end of file"
        self._writes.append(self)
        if self.close_reason is None:
            self._buffer += data
            self._push()

    def write_directly(self, encoded: bytes) -> int:
        """Take what there is space for, as the kernel does, or raise OSError."""
        assert not self.is_eof_written, "written after the end of file"
        assert not self._buffer, "written before what the transport holds"
        assert self.close_reason != "closed", "written to a descriptor that is closed"
        if self.close_reason is not None:
            raise BrokenPipeError
        size = min(self._window, len(encoded))
        if not size:
            raise BlockingIOError
        self._writes.append(self)
        self._window -= size
        self.taken += encoded[:size]
        return size

    def write_eof(self) -> None:
        self.is_eof_written = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high is not None
        self._high, self._low = high, high // 4 if low is None else low

    def get_write_buffer_size(self) -> int:
        return len(self._buffer)

    def is_closing(self) -> bool:
        return self.close_reason is not None

    def close(self) -> None:
        assert not self._buffer, "closed with bytes that were not taken"
        self._end("closed", None)

    def abort(self) -> None:
        self._end("aborted", None)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    def get_protocol(self) -> asyncio.Protocol:
        return self._protocol

    def is_reading(self) -> bool:
        return self.is_reading_enabled

    def pause_reading(self) -> None:
        self.is_reading_enabled = False

    def resume_reading(self) -> None:
        self.is_reading_enabled = True

    def _push(self) -> None:
        size = min(self._window, len(self._buffer))
        self._window -= size
        self.taken += self._buffer[:size]
        del self._buffer[:size]
        if len(self._buffer) > self._high and not self._is_paused:
            self._is_paused = True
            self._protocol.pause_writing()
        elif len(self._buffer) <= self._low and self._is_paused:
            self._is_paused = False
            self._protocol.resume_writing()

    def _end(self, reason: str, error: OSError | None) -> None:
        if self.close_reason is None:
            self.close_reason = reason
            self._buffer.clear()
            asyncio.get_running_loop().call_soon(self._detach, error)

    def _detach(self, error: OSError | None) -> None:
        self._protocol.connection_lost(error)
        self._protocol = asyncio.Protocol()  # as uvloop does: it forgets who was told
