"""What feeds are made of: Faker's values, NumPy's numbers, and the thread that draws them."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import pytest

from chatd.generator import MAX_ITEMS, Generator, Stream
from chatd.stock import Draw, Item, Stock
from common.messages.feed import Person, Subscribe, Topic

SEED: Final = 7
USERS: Final[tuple[Topic, ...]] = ("user",)
ARRAYS: Final[tuple[Topic, ...]] = ("array",)


@pytest.fixture(scope="module")
def stock() -> Stock:
    return Stock("en_US", SEED)


def items(stock: Stock, seed: int | None = SEED, *, batches: Sequence[int], **wishes: Any) -> Any:
    """Return what an order gets in batches of so many rounds, as one list."""
    draw = Draw(Subscribe(**wishes), stock, seed)
    return [item for rounds in batches for item in draw.batch(rounds)]


def test_the_same_seed_makes_the_same_users_and_arrays_in_every_run(stock: Stock) -> None:
    again = Stock("en_US", SEED)
    assert items(stock, batches=[50]) == items(again, batches=[50])


def test_another_seed_makes_others(stock: Stock) -> None:
    first, second = (items(Stock("en_US", seed), seed, batches=[50]) for seed in (1, 2))
    assert all(one != other for one, other in zip(first, second, strict=True))


def test_without_a_seed_two_orders_get_different_items(stock: Stock) -> None:
    assert items(stock, None, batches=[20]) != items(stock, None, batches=[20])


def test_the_users_of_a_seed_do_not_depend_on_the_arrays_beside_them(stock: Stock) -> None:
    both = items(stock, batches=[20], topics=("array", "user"), size=3, high=9)
    assert both[1::2] == items(stock, batches=[20], topics=USERS)
    assert both[0::2] == items(stock, batches=[20], topics=ARRAYS, size=3, high=9)


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0, 100), (-5, 5), (0, 2**32), (-(2**53), 2**53)]
)
def test_the_items_of_a_seed_do_not_depend_on_the_size_of_batches(
    stock: Stock, low: int, high: int
) -> None:
    wishes = {"low": low, "high": high, "size": 7}
    whole = items(stock, batches=[60], **wishes)
    assert items(stock, batches=[1, 2, 3, 17, 37], **wishes) == whole


def test_a_user_has_every_field_and_fits_the_wire(stock: Stock) -> None:
    for user in items(stock, batches=[100], topics=USERS):
        assert isinstance(user, Person)
        assert all(getattr(user, field) for field in Person.__struct_fields__)
        assert "@" in user.email
        assert "1940-01-01" <= user.birthdate <= "2005-12-31"


def test_users_hardly_ever_come_twice(stock: Stock) -> None:
    users = items(stock, batches=[10_000], topics=USERS)
    assert len({(user.name, user.address, user.phone) for user in users}) > 9_990


def test_an_array_has_the_size_asked_for_and_both_ends_of_its_range(stock: Stock) -> None:
    arrays = items(stock, batches=[500], topics=ARRAYS, size=4, low=-1, high=1)
    assert {len(array) for array in arrays} == {4}
    assert {number for array in arrays for number in array} == {-1, 0, 1}


def test_a_range_of_one_number_is_fine(stock: Stock) -> None:
    assert items(stock, batches=[1], topics=ARRAYS, size=2, low=3, high=3) == [[3, 3]]


def test_a_locale_makes_users_of_its_own(stock: Stock) -> None:
    (japanese,) = items(Stock("ja_JP", SEED), batches=[1], topics=USERS)
    (american,) = items(stock, batches=[1], topics=USERS)
    assert american.name.isascii()
    assert not japanese.name.isascii()


class Supply:
    """Batches that a test hands over one by one."""

    def __init__(self, first: list[Item]) -> None:
        self.asked: list[asyncio.Future[list[Item]]] = []
        self.ready = 0
        self.stream = Stream(first, self._more, self._count)

    def _more(self) -> "asyncio.Future[list[Item]]":
        self.asked.append(asyncio.get_running_loop().create_future())
        return self.asked[-1]

    def _count(self) -> None:
        self.ready += 1


async def test_a_stream_asks_for_more_when_half_of_a_batch_is_taken() -> None:
    supply = Supply([[1], [2], [3], [4]])
    assert supply.stream.take() == [1]
    assert supply.asked == []
    assert supply.stream.take() == [2]
    assert len(supply.asked) == 1


async def test_a_stream_that_ran_dry_says_when_there_is_more() -> None:
    supply = Supply([[1]])
    assert [supply.stream.take() for _ in range(3)] == [[1], None, None]
    assert (len(supply.asked), supply.ready) == (1, 0)
    supply.asked[0].set_result([[2], [3]])
    await asyncio.sleep(0)
    assert supply.ready == 1
    assert [supply.stream.take() for _ in range(3)] == [[2], [3], None]


async def test_a_batch_that_is_cancelled_as_the_server_stops_is_no_fault() -> None:
    supply = Supply([[1]])
    supply.stream.take()
    supply.asked[0].cancel()
    await asyncio.sleep(0)
    assert supply.ready == 0


def test_the_thread_draws_ahead_without_end() -> None:
    """In real time: the loop of the other tests knows no threads."""

    async def drain(wanted: int) -> list[Item]:
        more = asyncio.Event()
        generator = Generator("en_US", SEED)
        stream = await generator.open(Subscribe(interval_ms=0, topics=ARRAYS), more.set)
        taken: list[Item] = []
        while len(taken) < wanted:
            item = stream.take()
            if item is not None:
                taken.append(item)
                continue
            await more.wait()
            more.clear()
        generator.close()
        return taken

    wanted = 3 * MAX_ITEMS
    draw = Draw(Subscribe(topics=ARRAYS), Stock("en_US", SEED), SEED)
    assert asyncio.run(drain(wanted)) == draw.batch(wanted)
