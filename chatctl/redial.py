"""Opening links: the first at once, the next ones with growing patience."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from chatctl.backoff import Backoff
from chatctl.errors import CannotConnectError
from chatctl.events import Reconnecting
from chatctl.link import Link


class Redial:
    """Opens a link after a loss, telling each try.

    `dial` opens one link or raises CannotConnectError; `patience` is how long (s) after the loss to
    keep trying.
    """

    def __init__(
        self,
        dial: Callable[[], Awaitable[Link]],
        backoff: Backoff,
        patience: float,
        tell: Callable[[Reconnecting], object],
    ) -> None:
        self.dial = dial
        self._backoff = backoff
        self._patience = patience
        self._tell = tell
        self._lost_at: float | None = None
        self._reason = ""

    def lose(self, reason: str) -> None:
        """Note that the connection is gone."""
        self._reason = reason
        if self._lost_at is None:
            self._lost_at = time.monotonic()

    def recover(self) -> float | None:
        """Note that the server serves us; return how long (s) it did not, None if it always did."""
        if self._lost_at is None:
            return None
        away = time.monotonic() - self._lost_at
        self._lost_at = None
        self._backoff.reset()
        return away

    async def again(self) -> Link:
        """Open a link once more: at once, or after a loss with backoff.

        Raises CannotConnectError when patience has run out.
        """
        while True:
            if self._lost_at is not None:
                await self._wait(self._lost_at + self._patience)
            try:
                return await self.dial()
            except CannotConnectError as failure:
                self.lose(str(failure))

    async def _wait(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise CannotConnectError(
                f"{self._reason}; gave up after {self._patience:g} s, try again later"
            )
        delay = min(self._backoff.next_delay(), left)
        self._tell(Reconnecting(self._reason, self._backoff.attempts, delay))
        await asyncio.sleep(delay)
