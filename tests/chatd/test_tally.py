"""A count that can be waited for."""

import asyncio

from chatd.tally import Tally
from tests.chatd.virtual_time import quiet


async def test_waiting_ends_when_the_count_is_low_enough() -> None:
    tally = Tally()
    for _ in range(3):
        tally.add()
    below_3 = asyncio.create_task(tally.below(3))
    none_left = asyncio.create_task(tally.below(1))
    await quiet()
    assert not below_3.done()
    for wait in (below_3, none_left):
        assert not wait.done()
        while not wait.done():
            tally.done()
            await quiet()
    assert tally.count == 0


async def test_several_may_be_added_and_done_at_once() -> None:
    tally = Tally()
    tally.add(3)
    none_left = asyncio.create_task(tally.below(1))
    await quiet()
    tally.done(3)
    await none_left


async def test_there_is_nothing_to_wait_for_at_0() -> None:
    await Tally().below(1)
