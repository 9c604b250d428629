"""The items of feeds: users from values of Faker, arrays from NumPy. Too slow for the loop.

Faker takes half a millisecond for a user, NumPy and a pool of values half a microsecond. So Faker
makes 512 values of each field, once, and a user is put together from them: each field is generated
on its own and with replacement, as Faker itself draws its fields from its lists. That makes 512**7
different users.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from importlib import import_module
from typing import TYPE_CHECKING, Final, TypeAlias

from common.messages.feed import Person, Subscribe, Topic

if TYPE_CHECKING:
    from numpy.random import Generator

Item: TypeAlias = Person | list[int]
ItemBatch: TypeAlias = list[tuple[Item, ...]]
"""Rows of items, one of every topic in each; a power of two of them."""

POOL_SIZE: Final = 512
"""Values of each field of a user."""

MAX_ROWS: Final = 512
MAX_NUMBERS: Final = 16_384
"""Rows of one batch, and numbers in it: it is generated in a millisecond and stays below 1 MiB."""

VALUES_PER_SLICE: Final = 8
"""Values that Faker makes between two pauses: about half a millisecond's work."""

PAUSE: Final = 0.0001
"""Seconds (s) that a pause lasts, at least: enough for the kernel to wake another thread."""

_BIRTHDATES: Final = (date(1940, 1, 1), date(2005, 12, 31))
_TOPIC_SEEDS: Final[dict[Topic, int]] = {"user": 0, "array": 1}


class FakeUserPool:
    """The values of which users are made; the same for the same `locale` and `seed`.

    Making it takes about a quarter of a second. Raises ImportError where Faker is not installed.
    """

    def __init__(self, locale: str, seed: int | None) -> None:
        fake = import_module("faker").Faker(locale)  # an extra, and slow to import
        fake.seed_instance(seed)
        fields: Sequence[Callable[[], str]] = (
            fake.name,
            fake.user_name,
            fake.email,
            fake.address,
            fake.company,
            # A birth date counted from today would be another one tomorrow.
            lambda: fake.date_between_dates(*_BIRTHDATES).isoformat(),
            fake.phone_number,
        )
        self._fields = [list(_values(make)) for make in fields]

    def generate(self, generator: "Generator", count: int) -> Iterator[Person]:
        """Return the next `count` users that `generator` makes."""
        names, usernames, emails, addresses, companies, birthdates, phones = self._fields
        for a, b, c, d, e, f, g in generator.integers(POOL_SIZE, size=(count, 7)).tolist():
            yield Person(
                names[a],
                usernames[b],
                emails[c],
                addresses[d],
                companies[e],
                birthdates[f],
                phones[g],
            )


def generate_batch(
    subscription: Subscribe, pool: FakeUserPool, seed: int, number: int
) -> ItemBatch:
    """Return the batch with this `number` (from 0) of what `subscription` asks for.

    The same for the same subscription, pool and seed (>= 0). Raises ImportError where NumPy is not
    installed.
    """
    default_rng = import_module("numpy.random").default_rng  # an extra, and slow to import
    rows = min(MAX_ROWS, 1 << (MAX_NUMBERS // subscription.size).bit_length() - 1)
    columns: list[Iterable[Item]] = []
    for topic in subscription.topics:
        generator = default_rng((seed, number, _TOPIC_SEEDS[topic]))
        if topic == "user":
            columns.append(pool.generate(generator, rows))
        else:
            size = (rows, subscription.size)
            numbers = generator.integers(subscription.low, subscription.high, size, endpoint=True)
            columns.append(numbers.tolist())
    return list(zip(*columns, strict=True))


def yield_interpreter() -> None:
    """Release the interpreter, so that the event loop can run.

    Python takes it from a busy thread only after 5 ms, and the loop would be late by as much.
    """
    time.sleep(PAUSE)


def _values(make: Callable[[], str]) -> Iterator[str]:
    for _ in range(POOL_SIZE // VALUES_PER_SLICE):
        yield from (make() for _ in range(VALUES_PER_SLICE))
        yield_interpreter()
