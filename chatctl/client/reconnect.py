"""Reconnection with exponential backoff and full jitter."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from chatctl.client.events import Reconnecting
from chatctl.errors import CannotConnectError, NoSuchHostError

BASE: Final = 0.25
"""Longest first delay, in s."""

CAP: Final = 15.0
"""Longest delay, in s."""


class Backoff:
    """Draws each delay from [0, min(cap, base * 2**attempt)], in s.

    This is "full jitter". Of the schemes in Marc Brooker, "Exponential Backoff And Jitter" (AWS
    Architecture Blog, 2015), it needs the fewest attempts to reconnect many clients that lost
    their server at the same moment. Tests pass an `rng` to know the delays.
    """

    def __init__(
        self, base: float = BASE, cap: float = CAP, rng: random.Random | None = None
    ) -> None:
        self._base = base
        self._cap = cap
        self._rng = rng or random.Random()  # noqa: S311 - it spreads load, it keeps no secret
        self.attempts = 0
        """Delays drawn since the last reset."""

    def next_delay(self) -> float:
        """Return the next delay, in s."""
        # Past 2**64 any base has reached the cap; a float overflows at 2**1024.
        ceiling = min(self._cap, self._base * 2.0 ** min(self.attempts, 64))
        self.attempts += 1
        return self._rng.uniform(0.0, ceiling)

    def reset(self) -> None:
        """Start over with short delays."""
        self.attempts = 0


C = TypeVar("C")


class Reconnector(Generic[C]):
    """Opens a new connection after a loss, and reports each attempt to `notify`.

    `open_connection` opens a connection or raises CannotConnectError. `give_up_after` is how long
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
        """Why there is no connection; empty while there is one."""

    async def connect(self) -> C:
        """Open the first connection, in one attempt; raises CannotConnectError."""
        try:
            return await self._open_connection()
        except NoSuchHostError:
            raise
        except CannotConnectError as error:
            raise CannotConnectError(f"{error}; is chatd running there?") from None

    def connection_lost(self, reason: str) -> None:
        """Note that the connection was lost."""
        self.reason = reason
        if self._lost_at is None:
            self._lost_at = time.monotonic()

    def connected(self) -> float | None:
        """Note that the server answers; return how long (s) it was away, None if it never was."""
        if self._lost_at is None:
            return None
        away = time.monotonic() - self._lost_at
        self._lost_at = None
        self.reason = ""
        self._backoff.reset()
        return away

    async def reconnect(self, *, immediately: bool) -> C:
        """Open the next connection, with backoff after a loss and after each failure.

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
                f"the connection was lost ({self.reason}) and could not be restored "
                f"within {self._give_up_after:g} s; try again later"
            )
        delay = min(self._backoff.next_delay(), remaining)
        self._notify(Reconnecting(self.reason, self._backoff.attempts, delay))
        await asyncio.sleep(delay)
