"""Admission and shutdown: how many connections may be open, and how all of them are closed."""

import asyncio
from contextlib import suppress
from typing import Final, Protocol

from chatd.core.metrics import Metrics
from chatd.core.session import InFlight
from common.messages import Error

_SHUTTING_DOWN: Final = Error("shutting_down", "the server is shutting down")


class OpenConnection(Protocol):
    """A connection, whether its protocol is chosen or not."""

    def close(self, reason: str, error: Error) -> None:
        """Tell the client `error`, then close; `reason` is for the log."""

    def abort(self) -> None:
        """Cut the connection off, whatever is still to be written."""


class OpenConnections:
    """All connections of a server; at most `limit` are served at a time."""

    def __init__(self, limit: int, metrics: Metrics) -> None:
        self._limit = limit
        self._metrics = metrics
        self._open: set[OpenConnection] = set()
        self._count = InFlight()
        self._is_closing = False

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: OpenConnection) -> bool:
        """Take in a new connection; return False where it had to be closed at once."""
        self._open.add(connection)
        self._count.add()
        self._metrics.connections += 1
        if not self._is_closing and len(self._open) <= self._limit:
            return True
        self._metrics.connections_refused += 1
        if self._is_closing:
            connection.close("server shutting down", _SHUTTING_DOWN)
        else:
            detail = f"all {self._limit} connections are in use; try again later"
            connection.close("server full", Error("server_full", detail))
        return False

    def replace(self, old: OpenConnection, new: OpenConnection) -> None:
        """Note that `new` serves the connection from now on."""
        self._open.remove(old)
        self._open.add(new)

    def closed(self, connection: OpenConnection) -> None:
        """Forget a connection that is over."""
        self._open.remove(connection)
        self._count.done()

    def refuse_new(self) -> None:
        """Close every connection that is accepted from now on."""
        self._is_closing = True

    async def close_all(self, *, within: float) -> None:
        """Close every connection, and give clients `within` s to take what is left for them."""
        self.refuse_new()
        for connection in list(self._open):
            connection.close("server shutting down", _SHUTTING_DOWN)
        await self._wait_closed(within)

    async def abort_all(self, *, within: float) -> None:
        """Cut off whoever is still connected, and wait up to `within` s until that is done."""
        for connection in self._open:
            connection.abort()
        await self._wait_closed(within)

    async def _wait_closed(self, within: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._count.wait_below(1), within)
