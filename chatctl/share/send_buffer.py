"""What waits to be sent on one connection: lines, bytes, and parts of files.

Whether bytes of a file are in memory, so that handing them on does not wait for the disk.
"""

import os
import socket
from collections import deque
from typing import Final

from msgspec import Struct

from chatctl.share.storage.file_io import Location

_MSG_MORE: Final = getattr(socket, "MSG_MORE", 0)


class Traffic(Struct):
    """Bytes of pieces: `sent` went to the kernel, `received` were what they should be."""

    sent: int = 0
    received: int = 0


class _Payload(Struct):
    """A line and the raw bytes behind it, in memory or of a file; they count in `traffic`."""

    header: bytes
    source: memoryview | Location
    traffic: Traffic | None


class SendBuffer:
    """What goes to a socket; parts of files are not copied into this program.

    Lines keep their order, and so do parcels. But a line waits for no parcel that has not begun:
    what is asked and acknowledged would else wait for pieces, and uplinks would idle meanwhile.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.lines = 0
        """Bytes of lines that wait."""
        self._socket = sock
        self._lines = bytearray()
        self._payloads: deque[_Payload] = deque()
        self._head = bytearray()
        self._body: _Payload | None = None

    def __bool__(self) -> bool:
        """Tell whether anything waits."""
        return bool(self._head or self._body or self._lines or self._payloads)

    def put_line(self, line: bytes) -> None:
        """Queue a line; those that stand together leave together."""
        self.lines += len(line)
        self._lines += line

    def put_payload(self, header: bytes, raw: bytes | Location, traffic: Traffic | None) -> None:
        """Queue a line and the raw bytes that follow it."""
        self.lines += len(header)
        source = raw if isinstance(raw, Location) else memoryview(raw)
        self._payloads.append(_Payload(header, source, traffic))

    def clear(self) -> None:
        """Forget what waits."""
        self._lines.clear()
        self._payloads.clear()
        self._head.clear()
        self._body = None

    def send_some(self) -> None:
        """Hand the kernel what it takes of the first thing that waits.

        Raises BlockingIOError when it takes nothing now, OSError when it never will.
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
                raise OSError(f"a file that it was to get now ends at byte {offset}")
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
        """What tells the kernel that a packet need not leave yet, because more follows."""
        follows = self._lines or self._payloads or (self._head and self._body)
        return _MSG_MORE if follows else 0


_NOWAIT: Final[int | None] = getattr(os, "RWF_NOWAIT", None)


def is_cached(location: Location) -> bool:
    """Tell whether the first and the last byte are in memory; the system reads ahead in between.

    Where it cannot tell, they count as not.
    """
    if _NOWAIT is None:
        return False
    file, offset, length = location
    byte = bytearray(1)
    try:
        for position in (offset, offset + length - 1):
            if not os.preadv(file.fileno(), [byte], position, _NOWAIT):
                return False
    except OSError:  # it would have to wait, or the file system cannot tell
        return False
    return True
