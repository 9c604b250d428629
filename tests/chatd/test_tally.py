"""A count that can be waited for."""

import asyncio

from chatd.tally import InFlight
from tests.chatd.virtual_time import quiet


async def test_waiting_ends_when_the_count_is_low_enough() -> None:
    in_flight = InFlight()
    for _ in range(3):
        in_flight.add()
    below_3 = asyncio.create_task(in_flight.wait_below(3))
    none_left = asyncio.create_task(in_flight.wait_below(1))
    await quiet()
    assert not below_3.done()
    for wait in (below_3, none_left):
        assert not wait.done()
        while not wait.done():
            in_flight.done()
            await quiet()
    assert in_flight.count == 0


async def test_several_may_be_added_at_once() -> None:
    in_flight = InFlight()
    in_flight.add(3)
    none_left = asyncio.create_task(in_flight.wait_below(1))
    for _ in range(3):
        await quiet()
        assert not none_left.done()
        in_flight.done()
    await none_left


async def test_there_is_nothing_to_wait_for_at_0() -> None:
    await InFlight().wait_below(1)
