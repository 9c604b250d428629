"""What feeds are made of: Faker's values, NumPy's numbers, and the thread that draws them."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from itertools import chain
from typing import Any, Final, TypeVar

import pytest

from chatd.config import FeedConfig
from chatd.feed_source import BatchCache, Generator, PendingBatch
from chatd.services.feed.items import MAX_NUMBERS, MAX_ROWS, FakeUserPool, generate_batch
from common.messages.feed import Person, Subscribe, Topic

SEED: Final = 7
T = TypeVar("T")

USERS: Final[tuple[Topic, ...]] = ("user",)
ARRAYS: Final[tuple[Topic, ...]] = ("array",)


@pytest.fixture(scope="module")
def pool() -> FakeUserPool:
    return FakeUserPool("en_US", SEED)


def items(pool: FakeUserPool, seed: int = SEED, *, batches: int = 1, **fields: Any) -> list[Any]:
    """Return what stands on the first batches of a subscription."""
    subscription = Subscribe(**fields)
    rows = chain.from_iterable(generate_batch(subscription, pool, seed, n) for n in range(batches))
    return list(chain.from_iterable(rows))


def test_the_same_seed_makes_the_same_users_and_arrays_in_every_run(pool: FakeUserPool) -> None:
    assert items(pool, batches=3) == items(FakeUserPool("en_US", SEED), batches=3)


def test_another_seed_makes_others(pool: FakeUserPool) -> None:
    first, second = (items(FakeUserPool("en_US", seed), seed) for seed in (1, 2))
    assert all(one != other for one, other in zip(first, second, strict=True))


def test_no_batch_is_like_the_one_before(pool: FakeUserPool) -> None:
    both = items(pool, batches=2)
    assert both[: len(both) // 2] != both[len(both) // 2 :]


def test_topics_take_turns_in_the_order_in_which_they_were_named(pool: FakeUserPool) -> None:
    generated = items(pool, topics=("array", "user"))
    assert {type(item) for item in generated[0::2]} == {list}
    assert {type(item) for item in generated[1::2]} == {Person}


def test_a_user_has_every_field_and_fits_the_wire(pool: FakeUserPool) -> None:
    for user in items(pool, topics=USERS):
        assert isinstance(user, Person)
        assert all(getattr(user, field) for field in Person.__struct_fields__)
        assert "@" in user.email
        assert "1940-01-01" <= user.birthdate <= "2005-12-31"


def test_users_hardly_ever_come_twice(pool: FakeUserPool) -> None:
    users = items(pool, batches=20, topics=USERS)
    assert len({(user.name, user.address, user.phone) for user in users}) > len(users) - 10


def test_an_array_has_the_size_asked_for_and_both_ends_of_its_range(pool: FakeUserPool) -> None:
    arrays = items(pool, topics=ARRAYS, size=4, low=-1, high=1)
    assert {len(array) for array in arrays} == {4}
    assert {number for array in arrays for number in array} == {-1, 0, 1}


@pytest.mark.parametrize("size", [1, 2, 31, 32, 33, 999, 1_000])
def test_a_batch_is_no_larger_than_allowed_and_its_rows_a_power_of_two(
    pool: FakeUserPool, size: int
) -> None:
    rows = len(items(pool, topics=ARRAYS, size=size))
    assert rows <= MAX_ROWS
    assert rows * size <= MAX_NUMBERS
    assert rows.bit_count() == 1


def test_a_range_of_one_number_is_fine(pool: FakeUserPool) -> None:
    assert items(pool, topics=ARRAYS, size=2, low=3, high=3)[0] == [3, 3]


def test_a_locale_makes_users_of_its_own(pool: FakeUserPool) -> None:
    japanese = items(FakeUserPool("ja_JP", SEED), topics=USERS)
    american = items(pool, topics=USERS)
    assert all(user.name.isascii() for user in american)
    assert not any(user.name.isascii() for user in japanese)


class Subscriber:
    """One subscriber of a generator whose thread is the real one."""

    def __init__(self, generator: Generator, **fields: Any) -> None:
        self._generator = generator
        self._subscription = Subscribe(**fields)
        self._more = asyncio.Event()

    async def open(self) -> "Subscriber":
        self._stream = await self._generator.open(self._subscription, self._more.set)
        return self

    async def read(self, count: int) -> list[Any]:
        """Return the next `count` items, waiting for those that are not generated."""
        taken: list[Any] = []
        while len(taken) < count:
            item = next(self._stream)
            if item is not None:
                taken.append(item)
                continue
            self._more.clear()
            await self._more.wait()
        return taken


def run_generator(seed: int | None, script: Callable[[Generator], Awaitable[T]]) -> T:
    """Run `script` in real time: the loop of the other tests knows no threads."""

    async def run() -> T:
        generator = Generator(FeedConfig(seed=seed))
        try:
            return await script(generator)
        finally:
            generator.close()

    return asyncio.run(run())


def test_with_a_seed_everyone_reads_the_batches_from_the_first_one_on(pool: FakeUserPool) -> None:
    count = 3 * MAX_ROWS * 2

    async def script(generator: Generator) -> None:
        first, second = (
            await Subscriber(generator).open(),
            await Subscriber(generator, ref="b").open(),
        )
        assert await first.read(count) == items(pool, batches=3)
        assert await second.read(count) == items(pool, batches=3)
        late = await Subscriber(generator, interval_ms=0).open()
        assert await late.read(10) == items(pool)[:10]

    run_generator(SEED, script)


def test_without_a_seed_a_batch_is_shared_and_everyone_reads_it_in_an_own_order() -> None:
    async def script(generator: Generator) -> None:
        first, second = [await Subscriber(generator, topics=ARRAYS).open() for _ in range(2)]
        one, other = await first.read(MAX_ROWS), await second.read(MAX_ROWS)
        assert one != other
        assert sorted(one) == sorted(other)
        assert {id(array) for array in one} == {id(array) for array in other}

    run_generator(None, script)


def test_without_a_seed_topics_take_turns_all_the_same() -> None:
    async def script(generator: Generator) -> None:
        generated = await (await Subscriber(generator).open()).read(100)
        assert {type(item) for item in generated[0::2]} == {Person}
        assert {type(item) for item in generated[1::2]} == {list}

    run_generator(None, script)


def test_who_comes_later_without_a_seed_begins_where_the_others_are() -> None:
    async def script(generator: Generator) -> None:
        first = await Subscriber(generator, topics=ARRAYS).open()
        before = await first.read(5 * MAX_ROWS)
        late = await Subscriber(generator, topics=ARRAYS).open()
        read = await late.read(MAX_ROWS)
        assert sorted(read) != sorted(before[:MAX_ROWS])
        assert sorted(read) == sorted(await first.read(MAX_ROWS))

    run_generator(None, script)


async def test_a_batch_is_kept_as_long_as_it_is_read_and_generated_again_after() -> None:
    generated: list[int] = []

    def generate(number: int) -> PendingBatch:
        generated.append(number)
        return asyncio.get_running_loop().create_future()

    cache = BatchCache(generate)
    reading = cache.batch(3)
    assert cache.batch(3) is reading
    del reading
    cache.batch(3)
    assert generated == [3, 3]
    assert cache.newest == 3


def test_an_open_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy.random", None)

    async def script(generator: Generator) -> None:
        for _ in range(2):
            with pytest.raises(ImportError):
                await Subscriber(generator).open()

    run_generator(None, script)
