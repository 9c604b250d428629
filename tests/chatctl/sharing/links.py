"""Two ends of a connection, and what each heard."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final, Self

from chatctl.sharing.link import Link
from chatctl.sharing.swap import CATALOGUE
from chatctl.sharing.wire import Frame

PATIENCE: Final = 60.0
"""Seconds (s) to wait on a busy machine for what comes at once on an idle one."""


class End:
    """A link that notes what it hears, and what it was lost with."""

    def __init__(self, connected: socket.socket) -> None:
        self.heard: list[Frame] = []
        self.lost: Exception | None = None
        self._changed = asyncio.Event()
        self.link = Link(connected, CATALOGUE, self._hear, self._lose)

    async def until(self, condition: Callable[[Self], bool]) -> None:
        """Wait until `condition` holds of this end."""
        async with asyncio.timeout(PATIENCE):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()

    def _hear(self, frame: Frame) -> None:
        self.heard.append(frame)
        self._changed.set()

    def _lose(self, fault: Exception) -> None:
        self.lost = fault
        self._changed.set()


def pair() -> tuple[socket.socket, socket.socket]:
    """Return two sockets that are connected over TCP."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        other, _ = server.accept()
    return one, other
