"""Draws the items of all feeds in one thread, ahead of their subscribers."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from chatd.stock import Draw, Item, Stock, pause
from common.messages.feed import Subscribe

AHEAD: Final = 1.0
"""Seconds (s) of a feed that one batch covers, as long as the two limits below allow it."""

MAX_ITEMS: Final = 1_024
MAX_NUMBERS: Final = 16_384
"""Items, and numbers in them, of one batch: its memory stays below 1 MiB."""


class Generator:
    """Opens streams; its thread and the stock of values are there from the first one on."""

    def __init__(self, locale: str, seed: int | None) -> None:
        self._locale = locale
        self._seed = seed
        self._stock: Stock | None = None
        self._loop = asyncio.get_running_loop()
        # One thread: several would only take the interpreter from each other, and from the loop.
        self._thread = ThreadPoolExecutor(1, "feed")

    async def open(self, order: Subscribe, ready: Callable[[], None]) -> "Stream":
        """Return what `order` asks for, its first batch drawn; `ready` is for later ones.

        Raises ImportError where Faker or NumPy is not installed.
        """
        draw = await self._loop.run_in_executor(self._thread, self._start, order)
        more = partial(self._loop.run_in_executor, self._thread, _draw, draw, _rounds(order))
        return Stream(await more(), more, ready)

    def close(self) -> None:
        """Let the thread end; no stream may be used after this."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _start(self, order: Subscribe) -> Draw:
        if self._stock is None:
            self._stock = Stock(self._locale, self._seed)
        return Draw(order, self._stock, self._seed)


class Stream:
    """The items of one subscription; asks for `more` when half of a batch is taken."""

    def __init__(
        self,
        first: Sequence[Item],
        more: Callable[[], "asyncio.Future[list[Item]]"],
        ready: Callable[[], None],
    ) -> None:
        self._items = deque(first)
        self._enough = len(first) // 2
        self._more = more
        self._ready = ready
        self._is_drawing = False

    def take(self) -> Item | None:
        """Return the next item, or None where it is not drawn yet; `ready` is called when it is."""
        item = self._items.popleft() if self._items else None
        if len(self._items) <= self._enough and not self._is_drawing:
            self._is_drawing = True
            self._more().add_done_callback(self._drawn)
        return item

    def _drawn(self, batch: "asyncio.Future[list[Item]]") -> None:
        self._is_drawing = False
        if not batch.cancelled():
            self._items.extend(batch.result())
            self._ready()


def _draw(draw: Draw, rounds: int) -> list[Item]:
    pause()
    return draw.batch(rounds)


def _rounds(order: Subscribe) -> int:
    """Return how often each topic has its turn in a batch, at least once."""
    wanted = AHEAD * 1_000 / order.interval_ms if order.interval_ms else MAX_ITEMS
    return max(1, int(min(wanted, MAX_ITEMS, MAX_NUMBERS / order.size) / len(order.topics)))
