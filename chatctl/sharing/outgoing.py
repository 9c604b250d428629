"""What waits to be sent on one connection: lines, bytes, and parts of files."""

import os
import socket
from collections import deque
from typing import Final

from msgspec import Struct

from chatctl.sharing.handles import Location

_MSG_MORE: Final = getattr(socket, "MSG_MORE", 0)


class Traffic(Struct):
    """Bytes of pieces: `sent` went to the kernel, `received` were what they should be."""

    sent: int = 0
    received: int = 0


class _Block(Struct):
    """Raw bytes, in memory or of a file; what goes out of them is counted in `traffic`."""

    source: memoryview | Location
    traffic: Traffic | None


class Outgoing:
    """A queue that goes to a socket, in order; parts of files are not copied into this program."""

    def __init__(self, connected: socket.socket) -> None:
        self.lines = 0
        """Bytes of lines that wait."""
        self._socket = connected
        self._queue: deque[bytearray | _Block] = deque()

    def __bool__(self) -> bool:
        """Tell whether anything waits."""
        return bool(self._queue)

    def put_line(self, line: bytes) -> None:
        """Queue a line; those that stand together leave together."""
        self.lines += len(line)
        if self._queue and isinstance(last := self._queue[-1], bytearray):
            last += line
        else:
            self._queue.append(bytearray(line))

    def put_raw(self, raw: bytes | Location, traffic: Traffic | None) -> None:
        """Queue raw bytes, to be counted in `traffic` when they leave."""
        source = raw if isinstance(raw, Location) else memoryview(raw)
        self._queue.append(_Block(source, traffic))

    def clear(self) -> None:
        """Forget what waits."""
        self._queue.clear()

    def push(self) -> None:
        """Hand the kernel what it takes of the first thing that waits.

        Raises BlockingIOError when it takes nothing now, OSError when it never will.
        """
        head = self._queue[0]
        if isinstance(head, bytearray):
            sent = self._socket.send(head, self._more)
            self.lines -= sent
            del head[:sent]
            is_over = not head
        else:
            is_over = self._push_block(head)
        if is_over:
            self._queue.popleft()

    def _push_block(self, block: _Block) -> bool:
        source = block.source
        if isinstance(source, Location):
            file, offset, length = source
            sent = os.sendfile(self._socket.fileno(), file.fileno(), offset, length)
            if not sent:
                raise OSError(f"a file that it was to get now ends at byte {offset}")
            block.source = Location(file, offset + sent, length - sent)
        else:
            length = len(source)
            sent = self._socket.send(source, self._more)
            block.source = source[sent:]
        if block.traffic is not None:
            block.traffic.sent += sent
        return sent == length

    @property
    def _more(self) -> int:
        """What tells the kernel that a packet need not leave yet, because more follows."""
        return _MSG_MORE if len(self._queue) > 1 else 0
