"""The send buffer of a connection: lines, bytes, and parts of files that `sendfile` sends."""

import os
import socket
from collections import deque
from typing import Final

from msgspec import Struct

from chatctl.share.storage.file_io import Location

_MSG_MORE: Final = getattr(socket, "MSG_MORE", 0)


class Traffic(Struct):
    """Bytes of pieces: `sent` were handed to the kernel, `received` were verified."""

    sent: int = 0
    received: int = 0


class _Payload(Struct):
    """A line and the raw bytes after it, from memory or a file; they count in `traffic`."""

    header: bytes
    source: memoryview | Location
    traffic: Traffic | None


class SendBuffer:
    """The data that waits for a socket, in two queues: lines, and payloads.

    Each queue keeps its order. A line overtakes every payload that has not begun; otherwise
    requests and acknowledgements would wait for pieces, and uplinks would idle meanwhile. Parts of
    files are never copied into this program.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.lines = 0
        """How many bytes of lines wait."""
        self._socket = sock
        self._lines = bytearray()
        self._payloads: deque[_Payload] = deque()
        self._head = bytearray()
        self._body: _Payload | None = None

    def __bool__(self) -> bool:
        """Return whether anything waits."""
        return bool(self._head or self._body or self._lines or self._payloads)

    def put_line(self, line: bytes) -> None:
        """Queue a line; lines that wait together are sent together."""
        self.lines += len(line)
        self._lines += line

    def put_payload(self, header: bytes, raw: bytes | Location, traffic: Traffic | None) -> None:
        """Queue a payload: a line and the raw bytes that follow it."""
        self.lines += len(header)
        source = raw if isinstance(raw, Location) else memoryview(raw)
        self._payloads.append(_Payload(header, source, traffic))

    def clear(self) -> None:
        """Discard everything that waits."""
        self._lines.clear()
        self._payloads.clear()
        self._head.clear()
        self._body = None

    def send_some(self) -> None:
        """Hand the kernel as much of the first line or payload as it accepts.

        Raises BlockingIOError when it accepts nothing now, OSError when the connection is lost.
        """
        if not self._head and self._body is None:
            self._head, self._lines = self._lines, bytearray()
            if self._payloads:
                self._body = self._payloads.popleft()
                self._head += self._body.header
        if self._head:
            sent = self._socket.send(self._head, self._more)
            self.lines -= sent
            del self._head[:sent]
        elif self._body is not None and self._send_body(self._body):
            self._body = None

    def _send_body(self, payload: _Payload) -> bool:
        source = payload.source
        if isinstance(source, Location):
            file, offset, length = source
            sent = os.sendfile(self._socket.fileno(), file.fileno(), offset, length)
            if not sent:
                raise OSError(f"a file being sent now ends at byte {offset}")
            payload.source = Location(file, offset + sent, length - sent)
        else:
            length = len(source)
            sent = self._socket.send(source, self._more)
            payload.source = source[sent:]
        if payload.traffic is not None:
            payload.traffic.sent += sent
        return sent == length

    @property
    def _more(self) -> int:
        """The flag that has the kernel hold back a partial packet, because more data follows."""
        follows = self._lines or self._payloads or (self._head and self._body)
        return _MSG_MORE if follows else 0


_NOWAIT: Final[int | None] = getattr(os, "RWF_NOWAIT", None)


def is_cached(location: Location) -> bool:
    """Tell whether bytes are in the page cache, so that sending them does not wait for the disk.

    It checks the first and the last byte, because the kernel reads ahead in between. Where the
    kernel cannot tell, the answer is False.
    """
    if _NOWAIT is None:
        return False
    file, offset, length = location
    byte = bytearray(1)
    try:
        for position in (offset, offset + length - 1):
            if not os.preadv(file.fileno(), [byte], position, _NOWAIT):
                return False
    except OSError:  # the read would block, or the file system cannot tell
        return False
    return True
