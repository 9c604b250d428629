"""A count that goes up and down, and can be waited for."""

import asyncio


class Tally:
    """How much of something is under way for one session."""

    __slots__ = ("_went_down", "count")

    def __init__(self) -> None:
        self.count = 0
        self._went_down: asyncio.Event | None = None

    def add(self, number: int = 1) -> None:
        """Count `number` more."""
        self.count += number

    def done(self, number: int = 1) -> None:
        """Count `number` fewer."""
        self.count -= number
        if self._went_down is not None:
            self._went_down.set()

    async def below(self, limit: int) -> None:
        """Wait until the count is below `limit`."""
        while self.count >= limit:
            # Most sessions never wait; the event is made for those that do.
            self._went_down = self._went_down or asyncio.Event()
            self._went_down.clear()
            await self._went_down.wait()
