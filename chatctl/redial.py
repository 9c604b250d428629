"""Opening links: the first at once, the next ones with growing patience."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from chatctl.backoff import Backoff
from chatctl.errors import CannotConnectError, NoSuchHostError
from chatctl.events import Reconnecting

L = TypeVar("L")


class Redial(Generic[L]):
    """Opens a link after a loss, telling each try.

    `dial` opens one link or raises CannotConnectError; `patience` is how long (s) after the loss to
    keep trying.
    """

    def __init__(
        self,
        dial: Callable[[], Awaitable[L]],
        backoff: Backoff,
        patience: float,
        tell: Callable[[Reconnecting], object],
    ) -> None:
        self._dial = dial
        self._backoff = backoff
        self._patience = patience
        self._tell = tell
        self._lost_at: float | None = None
        self.reason = ""
        """Why there is no connection; empty when there is one."""

    async def first(self) -> L:
        """Open the first link, in one try; raises CannotConnectError."""
        try:
            return await self._dial()
        except NoSuchHostError:
            raise
        except CannotConnectError as error:
            raise CannotConnectError(f"{error}; is chatd running there?") from None

    def lose(self, reason: str) -> None:
        """Note that the connection is gone."""
        self.reason = reason
        if self._lost_at is None:
            self._lost_at = time.monotonic()

    def recover(self) -> float | None:
        """Note that the server serves us; return how long (s) it did not, None if it always did."""
        if self._lost_at is None:
            return None
        away = time.monotonic() - self._lost_at
        self._lost_at = None
        self.reason = ""
        self._backoff.reset()
        return away

    async def again(self, *, at_once: bool) -> L:
        """Open the next link; after a loss, and after each failure, with backoff.

        Raises CannotConnectError when patience has run out.
        """
        if not at_once:
            await self._wait()
        while True:
            try:
                return await self._dial()
            except CannotConnectError as error:
                self.lose(str(error))
            await self._wait()

    async def _wait(self) -> None:
        lost_at = time.monotonic() if self._lost_at is None else self._lost_at
        left = lost_at + self._patience - time.monotonic()
        if left <= 0:
            raise CannotConnectError(
                f"the connection was lost ({self.reason}) and did not come back "
                f"within {self._patience:g} s; try again later"
            )
        delay = min(self._backoff.next_delay(), left)
        self._tell(Reconnecting(self.reason, self._backoff.attempts, delay))
        await asyncio.sleep(delay)
