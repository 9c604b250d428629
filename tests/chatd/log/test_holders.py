"""Who holds a name, in every log, whatever it is made of."""

import asyncio

import pytest

from chatd.log.port import Holder
from tests.chatd.log.harness import (
    ANN,
    BOB,
    CAROL,
    IMPLEMENTATIONS,
    PLENTY,
    OpenLog,
    draft,
    fill,
)
from tests.chatd.stand_ins import EPOCH_NS


@pytest.mark.parametrize("open_log", IMPLEMENTATIONS)
async def test_a_name_that_nobody_took_has_no_holder(open_log: OpenLog) -> None:
    async with open_log(PLENTY) as bench:
        assert await bench.log.hold(Holder("bob", BOB, b"h" * 32, EPOCH_NS), None)
        assert await bench.log.holder("ann") is None


@pytest.mark.parametrize("open_log", IMPLEMENTATIONS)
async def test_of_those_who_saw_a_name_free_the_first_gets_it(open_log: OpenLog) -> None:
    async with open_log(PLENTY) as bench:
        first = Holder("ann", ANN, b"a" * 32, EPOCH_NS)
        second = Holder("ann", BOB, b"b" * 32, EPOCH_NS)
        claims = (bench.log.hold(first, None), bench.log.hold(second, None))
        granted = tuple(await asyncio.gather(*claims))
        assert granted == (True, False)
        assert await bench.log.holder("ann") == first


@pytest.mark.parametrize("open_log", IMPLEMENTATIONS)
async def test_of_those_who_saw_the_same_holder_the_first_gets_the_name(open_log: OpenLog) -> None:
    async with open_log(PLENTY) as bench:
        holder = Holder("ann", ANN, b"a" * 32, EPOCH_NS)
        later = Holder("ann", BOB, b"b" * 32, EPOCH_NS + 1)
        latest = Holder("ann", CAROL, b"c" * 32, EPOCH_NS + 1)
        assert await bench.log.hold(holder, None)
        assert await bench.log.hold(later, holder)
        assert not await bench.log.hold(latest, holder)
        assert await bench.log.holder("ann") == later


@pytest.mark.parametrize("open_log", IMPLEMENTATIONS)
async def test_the_holder_is_the_same_whenever_it_was_last_here(open_log: OpenLog) -> None:
    async with open_log(PLENTY) as bench:
        holder = Holder("ann", ANN, b"a" * 32, EPOCH_NS)
        await bench.log.hold(holder, None)
        bench.log.touch("ann", ANN, EPOCH_NS + 7)
        assert await bench.log.hold(Holder("ann", BOB, b"b" * 32, EPOCH_NS + 9), holder)


@pytest.mark.parametrize("open_log", IMPLEMENTATIONS)
async def test_nobody_takes_the_place_of_one_who_was_never_there(open_log: OpenLog) -> None:
    async with open_log(PLENTY) as bench:
        ann = Holder("ann", ANN, b"a" * 32, EPOCH_NS)
        assert not await bench.log.hold(Holder("ann", BOB, b"b" * 32, EPOCH_NS), ann)
        assert await bench.log.holder("ann") is None


@pytest.mark.parametrize("open_log", IMPLEMENTATIONS)
async def test_touching_notes_when_the_holder_was_here(open_log: OpenLog) -> None:
    async with open_log(PLENTY) as bench:
        await bench.log.hold(Holder("ann", ANN, b"a" * 32, EPOCH_NS), None)
        bench.log.touch("ann", ANN, EPOCH_NS + 7)
        touched = Holder("ann", ANN, b"a" * 32, EPOCH_NS + 7)
        assert await bench.log.holder("ann") == touched
        await fill(bench, draft())
        assert await bench.log.holder("ann") == touched


@pytest.mark.parametrize("open_log", IMPLEMENTATIONS)
async def test_touching_a_name_that_another_holds_changes_nothing(open_log: OpenLog) -> None:
    async with open_log(PLENTY) as bench:
        held = Holder("ann", ANN, b"a" * 32, EPOCH_NS)
        await bench.log.hold(held, None)
        bench.log.touch("ann", BOB, EPOCH_NS + 7)
        bench.log.touch("nobody", BOB, EPOCH_NS + 7)
        await fill(bench, draft())
        assert await bench.log.holder("ann") == held
        assert await bench.log.holder("nobody") is None
