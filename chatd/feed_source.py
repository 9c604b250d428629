"""The generator of feeds: makes batches of items in one thread, ahead of the subscribers."""

import asyncio
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeAlias
from weakref import WeakValueDictionary

from msgspec import UNSET, structs

from chatd.config import FeedConfig
from chatd.services.feed.items import (
    FakeUserPool,
    Item,
    ItemBatch,
    generate_batch,
    yield_interpreter,
)
from common.messages.feed import Subscribe

PendingBatch: TypeAlias = "asyncio.Future[ItemBatch]"


class BatchCache:
    """The batches of one subscription: generated when first asked for, kept while they are read."""

    def __init__(self, generate: Callable[[int], PendingBatch]) -> None:
        self.newest = 0
        """The highest number that was asked for."""
        self._generate = generate
        self._batches: WeakValueDictionary[int, PendingBatch] = WeakValueDictionary()

    def batch(self, number: int) -> PendingBatch:
        """Return the batch with this number, which may still be being generated."""
        batch = self._batches.get(number)
        if batch is None:
            batch = self._batches[number] = self._generate(number)
            self.newest = max(self.newest, number)
        return batch


class Generator:
    """Opens streams of items; the first one starts the thread and makes the pool of values.

    Equal subscriptions read the same batches, so that each is generated once. With a seed, all
    read the same items from the first batch on. Otherwise a stream starts at the newest batch and
    reads each batch in an order of its own.
    """

    def __init__(self, config: FeedConfig) -> None:
        self._locale = config.locale
        self._seed = config.seed
        self._pool: FakeUserPool | None = None
        self._caches: WeakValueDictionary[Subscribe, BatchCache] = WeakValueDictionary()
        self._loop = asyncio.get_running_loop()
        # One thread: several would only compete for the interpreter, also with the loop.
        self._thread = ThreadPoolExecutor(1, "feed")

    async def open(
        self, subscription: Subscribe, on_available: Callable[[], None]
    ) -> Iterator[Item | None]:
        """Return the items of `subscription`, None where the next is not generated yet.

        `on_available` is called when there are more. Raises ImportError where Faker or NumPy is not
        installed.
        """
        cache = self._cache_for(subscription)
        number = 0 if self._seed is not None else cache.newest
        step = (0, 1) if self._seed is not None else _random_permutation()
        first = cache.batch(number)
        await first
        return _items(cache, number, first, step, on_available)

    def close(self) -> None:
        """End the thread; no stream may be used after this."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _cache_for(self, subscription: Subscribe) -> BatchCache:
        subscription = structs.replace(subscription, interval_ms=0, ref=UNSET)
        cache = self._caches.get(subscription)
        if cache is None:
            seed = secrets.randbits(64) if self._seed is None else self._seed
            run = partial(self._loop.run_in_executor, self._thread)
            cache = self._caches[subscription] = BatchCache(
                partial(run, self._generate, subscription, seed)
            )
        return cache

    def _generate(self, subscription: Subscribe, seed: int, number: int) -> ItemBatch:
        if self._pool is None:
            self._pool = FakeUserPool(self._locale, self._seed)
        yield_interpreter()
        return generate_batch(subscription, self._pool, seed, number)


def _random_permutation() -> tuple[int, int]:
    """Return a start and a stride that visit every row of a batch once."""
    return secrets.randbits(16), 2 * secrets.randbits(16) + 1


def _items(
    cache: BatchCache,
    number: int,
    upcoming: PendingBatch,
    step: tuple[int, int],
    on_available: Callable[[], None],
) -> Iterator[Item | None]:
    start, stride = step
    while True:
        while not upcoming.done():
            yield None
        current = upcoming  # keeps it in the cache while it is read
        number += 1
        upcoming = cache.batch(number)
        upcoming.add_done_callback(lambda _batch: on_available())
        batch = current.result()
        for index in range(len(batch)):
            yield from batch[(start + index * stride) % len(batch)]
