"""Opening connections: the first at once, the next ones with exponential backoff."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from chatctl.backoff import Backoff
from chatctl.errors import CannotConnectError, NoSuchHostError
from chatctl.events import Reconnecting

C = TypeVar("C")


class Reconnector(Generic[C]):
    """Opens another connection after a loss, and reports each try.

    `open_connection` opens one connection or raises CannotConnectError; `give_up_after` is how long
    (s) after the loss to keep trying.
    """

    def __init__(
        self,
        open_connection: Callable[[], Awaitable[C]],
        backoff: Backoff,
        give_up_after: float,
        notify: Callable[[Reconnecting], object],
    ) -> None:
        self._open_connection = open_connection
        self._backoff = backoff
        self._give_up_after = give_up_after
        self._notify = notify
        self._lost_at: float | None = None
        self.reason = ""
        """Why there is no connection; empty when there is one."""

    async def connect(self) -> C:
        """Open the first connection, in one try; raises CannotConnectError."""
        try:
            return await self._open_connection()
        except NoSuchHostError:
            raise
        except CannotConnectError as error:
            raise CannotConnectError(f"{error}; is chatd running there?") from None

    def connection_lost(self, reason: str) -> None:
        """Note that the connection is gone."""
        self.reason = reason
        if self._lost_at is None:
            self._lost_at = time.monotonic()

    def connected(self) -> float | None:
        """Note that the server serves us; return how long (s) it did not, None if it always did."""
        if self._lost_at is None:
            return None
        away = time.monotonic() - self._lost_at
        self._lost_at = None
        self.reason = ""
        self._backoff.reset()
        return away

    async def reconnect(self, *, immediately: bool) -> C:
        """Open the next connection; after a loss, and after each failure, with backoff.

        Raises CannotConnectError once `give_up_after` has passed.
        """
        if not immediately:
            await self._wait()
        while True:
            try:
                return await self._open_connection()
            except CannotConnectError as error:
                self.connection_lost(str(error))
            await self._wait()

    async def _wait(self) -> None:
        lost_at = time.monotonic() if self._lost_at is None else self._lost_at
        remaining = lost_at + self._give_up_after - time.monotonic()
        if remaining <= 0:
            raise CannotConnectError(
                f"the connection was lost ({self.reason}) and did not come back "
                f"within {self._give_up_after:g} s; try again later"
            )
        delay = min(self._backoff.next_delay(), remaining)
        self._notify(Reconnecting(self.reason, self._backoff.attempts, delay))
        await asyncio.sleep(delay)
