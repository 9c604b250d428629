"""A count that goes up and down, and can be waited for."""

import asyncio


class InFlight:
    """How much of something is under way for one session."""

    __slots__ = ("_decreased", "count")

    def __init__(self) -> None:
        self.count = 0
        self._decreased: asyncio.Event | None = None

    def add(self, number: int = 1) -> None:
        """Count `number` more."""
        self.count += number

    def done(self, number: int = 1) -> None:
        """Count `number` fewer."""
        self.count -= number
        if self._decreased is not None:
            self._decreased.set()

    async def wait_below(self, limit: int) -> None:
        """Wait until the count is below `limit`."""
        while self.count >= limit:
            # Most sessions never wait; the event is made for those that do.
            self._decreased = self._decreased or asyncio.Event()
            self._decreased.clear()
            await self._decreased.wait()
