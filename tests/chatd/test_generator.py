"""What feeds are made of: Faker's values, NumPy's numbers, and the thread that draws them."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from itertools import chain
from typing import Any, Final, TypeVar

import pytest

from chatd.generator import Drawn, Generator, Shelf
from chatd.stock import MAX_NUMBERS, MAX_ROUNDS, Stock, draw_sheet
from common.messages.feed import Person, Subscribe, Topic

SEED: Final = 7
T = TypeVar("T")

USERS: Final[tuple[Topic, ...]] = ("user",)
ARRAYS: Final[tuple[Topic, ...]] = ("array",)


@pytest.fixture(scope="module")
def stock() -> Stock:
    return Stock("en_US", SEED)


def items(stock: Stock, seed: int = SEED, *, sheets: int = 1, **wishes: Any) -> list[Any]:
    """Return what stands on the first sheets of an order."""
    order = Subscribe(**wishes)
    rounds = chain.from_iterable(draw_sheet(order, stock, seed, n) for n in range(sheets))
    return list(chain.from_iterable(rounds))


def test_the_same_seed_makes_the_same_users_and_arrays_in_every_run(stock: Stock) -> None:
    assert items(stock, sheets=3) == items(Stock("en_US", SEED), sheets=3)


def test_another_seed_makes_others(stock: Stock) -> None:
    first, second = (items(Stock("en_US", seed), seed) for seed in (1, 2))
    assert all(one != other for one, other in zip(first, second, strict=True))


def test_no_sheet_is_like_the_one_before(stock: Stock) -> None:
    both = items(stock, sheets=2)
    assert both[: len(both) // 2] != both[len(both) // 2 :]


def test_topics_take_turns_in_the_order_in_which_they_were_named(stock: Stock) -> None:
    drawn = items(stock, topics=("array", "user"))
    assert {type(item) for item in drawn[0::2]} == {list}
    assert {type(item) for item in drawn[1::2]} == {Person}


def test_a_user_has_every_field_and_fits_the_wire(stock: Stock) -> None:
    for user in items(stock, topics=USERS):
        assert isinstance(user, Person)
        assert all(getattr(user, field) for field in Person.__struct_fields__)
        assert "@" in user.email
        assert "1940-01-01" <= user.birthdate <= "2005-12-31"


def test_users_hardly_ever_come_twice(stock: Stock) -> None:
    users = items(stock, sheets=20, topics=USERS)
    assert len({(user.name, user.address, user.phone) for user in users}) > len(users) - 10


def test_an_array_has_the_size_asked_for_and_both_ends_of_its_range(stock: Stock) -> None:
    arrays = items(stock, topics=ARRAYS, size=4, low=-1, high=1)
    assert {len(array) for array in arrays} == {4}
    assert {number for array in arrays for number in array} == {-1, 0, 1}


@pytest.mark.parametrize("size", [1, 2, 31, 32, 33, 999, 1_000])
def test_a_sheet_is_no_larger_than_allowed_and_its_rounds_a_power_of_two(
    stock: Stock, size: int
) -> None:
    rounds = len(items(stock, topics=ARRAYS, size=size))
    assert rounds <= MAX_ROUNDS
    assert rounds * size <= MAX_NUMBERS
    assert rounds.bit_count() == 1


def test_a_range_of_one_number_is_fine(stock: Stock) -> None:
    assert items(stock, topics=ARRAYS, size=2, low=3, high=3)[0] == [3, 3]


def test_a_locale_makes_users_of_its_own(stock: Stock) -> None:
    japanese = items(Stock("ja_JP", SEED), topics=USERS)
    american = items(stock, topics=USERS)
    assert all(user.name.isascii() for user in american)
    assert not any(user.name.isascii() for user in japanese)


class Reader:
    """One subscriber of a generator whose thread is the real one."""

    def __init__(self, generator: Generator, **wishes: Any) -> None:
        self._generator = generator
        self._order = Subscribe(**wishes)
        self._more = asyncio.Event()

    async def open(self) -> "Reader":
        self._stream = await self._generator.open(self._order, self._more.set)
        return self

    async def read(self, count: int) -> list[Any]:
        """Return the next `count` items, waiting for those that are not drawn."""
        taken: list[Any] = []
        while len(taken) < count:
            item = next(self._stream)
            if item is not None:
                taken.append(item)
                continue
            self._more.clear()
            await self._more.wait()
        return taken


def generate(seed: int | None, script: Callable[[Generator], Awaitable[T]]) -> T:
    """Run `script` in real time: the loop of the other tests knows no threads."""

    async def run() -> T:
        generator = Generator("en_US", seed)
        try:
            return await script(generator)
        finally:
            generator.close()

    return asyncio.run(run())


def test_with_a_seed_everyone_reads_the_sheets_from_the_first_one_on(stock: Stock) -> None:
    count = 3 * MAX_ROUNDS * 2

    async def script(generator: Generator) -> None:
        first, second = await Reader(generator).open(), await Reader(generator, ref="b").open()
        assert await first.read(count) == items(stock, sheets=3)
        assert await second.read(count) == items(stock, sheets=3)
        late = await Reader(generator, interval_ms=0).open()
        assert await late.read(10) == items(stock)[:10]

    generate(SEED, script)


def test_without_a_seed_a_sheet_is_shared_and_everyone_reads_it_in_an_own_order() -> None:
    async def script(generator: Generator) -> None:
        first, second = [await Reader(generator, topics=ARRAYS).open() for _ in range(2)]
        one, other = await first.read(MAX_ROUNDS), await second.read(MAX_ROUNDS)
        assert one != other
        assert sorted(one) == sorted(other)
        assert {id(array) for array in one} == {id(array) for array in other}

    generate(None, script)


def test_without_a_seed_topics_take_turns_all_the_same() -> None:
    async def script(generator: Generator) -> None:
        drawn = await (await Reader(generator).open()).read(100)
        assert {type(item) for item in drawn[0::2]} == {Person}
        assert {type(item) for item in drawn[1::2]} == {list}

    generate(None, script)


def test_who_comes_later_without_a_seed_begins_where_the_others_are() -> None:
    async def script(generator: Generator) -> None:
        first = await Reader(generator, topics=ARRAYS).open()
        before = await first.read(5 * MAX_ROUNDS)
        late = await Reader(generator, topics=ARRAYS).open()
        read = await late.read(MAX_ROUNDS)
        assert sorted(read) != sorted(before[:MAX_ROUNDS])
        assert sorted(read) == sorted(await first.read(MAX_ROUNDS))

    generate(None, script)


async def test_a_sheet_is_kept_as_long_as_it_is_read_and_drawn_again_after() -> None:
    drawn: list[int] = []

    def draw(number: int) -> Drawn:
        drawn.append(number)
        return asyncio.get_running_loop().create_future()

    shelf = Shelf(draw)
    reading = shelf.sheet(3)
    assert shelf.sheet(3) is reading
    del reading
    shelf.sheet(3)
    assert drawn == [3, 3]
    assert shelf.newest == 3


def test_an_open_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy.random", None)

    async def script(generator: Generator) -> None:
        for _ in range(2):
            with pytest.raises(ImportError):
                await Reader(generator).open()

    generate(None, script)
