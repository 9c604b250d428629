"""Draws what feeds send in one thread, ahead of their subscribers."""

import asyncio
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeAlias
from weakref import WeakValueDictionary

from msgspec import UNSET, structs

from chatd.stock import Item, Sheet, Stock, draw_sheet, pause
from common.messages.feed import Subscribe

Drawn: TypeAlias = "asyncio.Future[Sheet]"


class Shelf:
    """The sheets of one order: drawn when somebody first asks, kept while somebody reads them."""

    def __init__(self, draw: Callable[[int], Drawn]) -> None:
        self.newest = 0
        """The highest number that was asked for."""
        self._draw = draw
        self._sheets: WeakValueDictionary[int, Drawn] = WeakValueDictionary()

    def sheet(self, number: int) -> Drawn:
        """Return the sheet with this number, which may still be being drawn."""
        sheet = self._sheets.get(number)
        if sheet is None:
            sheet = self._sheets[number] = self._draw(number)
            self.newest = max(self.newest, number)
        return sheet


class Generator:
    """Opens streams; its thread and the stock of values are there from the first one on.

    Subscribers of the same order read the same sheets, so that each is drawn once. With a `seed`
    all read them alike, from the first one on; otherwise they begin at the newest, and each goes
    through a sheet in an order of its own.
    """

    def __init__(self, locale: str, seed: int | None) -> None:
        self._locale = locale
        self._seed = seed
        self._stock: Stock | None = None
        self._shelves: WeakValueDictionary[Subscribe, Shelf] = WeakValueDictionary()
        self._loop = asyncio.get_running_loop()
        # One thread: several would only take the interpreter from each other, and from the loop.
        self._thread = ThreadPoolExecutor(1, "feed")

    async def open(self, order: Subscribe, ready: Callable[[], None]) -> Iterator[Item | None]:
        """Return the items of `order`, None where the next is not drawn yet.

        `ready` is called when there are more. Raises ImportError where Faker or NumPy is not
        installed.
        """
        shelf = self._shelf(order)
        number = 0 if self._seed is not None else shelf.newest
        step = (0, 1) if self._seed is not None else _own_step()
        first = shelf.sheet(number)
        await first
        return _read(shelf, number, first, step, ready)

    def close(self) -> None:
        """Let the thread end; no stream may be used after this."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _shelf(self, order: Subscribe) -> Shelf:
        order = structs.replace(order, interval_ms=0, ref=UNSET)
        shelf = self._shelves.get(order)
        if shelf is None:
            seed = secrets.randbits(64) if self._seed is None else self._seed
            run = partial(self._loop.run_in_executor, self._thread)
            shelf = self._shelves[order] = Shelf(partial(run, self._draw, order, seed))
        return shelf

    def _draw(self, order: Subscribe, seed: int, number: int) -> Sheet:
        if self._stock is None:
            self._stock = Stock(self._locale, self._seed)
        pause()
        return draw_sheet(order, self._stock, seed, number)


def _own_step() -> tuple[int, int]:
    """Return where to begin on a sheet and how far to step, which visits every place once."""
    return secrets.randbits(16), 2 * secrets.randbits(16) + 1


def _read(
    shelf: Shelf, number: int, coming: Drawn, step: tuple[int, int], ready: Callable[[], None]
) -> Iterator[Item | None]:
    start, stride = step
    while True:
        while not coming.done():
            yield None
        current = coming  # held as long as it is read, so that others find it on the shelf
        number += 1
        coming = shelf.sheet(number)
        coming.add_done_callback(lambda _sheet: ready())
        sheet = current.result()
        for place in range(len(sheet)):
            yield from sheet[(start + place * stride) % len(sheet)]
