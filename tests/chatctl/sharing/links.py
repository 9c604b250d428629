"""Two ends of a connection, and what each heard."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final, Self

from chatctl.sharing.link import PeerConnection
from chatctl.sharing.swap import REGISTRY
from chatctl.sharing.wire import Frame

TIMEOUT: Final = 60.0
"""Seconds (s) to wait on a busy machine for what comes at once on an idle one."""


class RecordingConnection:
    """A connection that records the frames that came, and the error that closed it."""

    def __init__(self, sock: socket.socket) -> None:
        self.frames: list[Frame] = []
        self.close_error: Exception | None = None
        self._changed = asyncio.Event()
        self.connection = PeerConnection(sock, REGISTRY, self._on_frame, self._on_close)

    async def until(self, condition: Callable[[Self], bool]) -> None:
        """Wait until `condition` holds of this end."""
        async with asyncio.timeout(TIMEOUT):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()

    def _on_frame(self, frame: Frame) -> None:
        self.frames.append(frame)
        self._changed.set()

    def _on_close(self, error: Exception) -> None:
        self.close_error = error
        self._changed.set()


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Return two sockets that are connected over TCP."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        other, _ = server.accept()
    return one, other
