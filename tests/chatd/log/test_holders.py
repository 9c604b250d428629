"""Who holds a name, in every log, whatever it is made of."""

import asyncio

import pytest

from chatd.log.port import NameOwner
from tests.chatd.log.harness import (
    ANN,
    BOB,
    CAROL,
    IMPLEMENTATIONS,
    PLENTY,
    OpenLog,
    fill,
    new_message,
)
from tests.chatd.stand_ins import EPOCH_NS


@pytest.mark.parametrize("open_log", IMPLEMENTATIONS)
async def test_a_name_that_nobody_took_has_no_owner(open_log: OpenLog) -> None:
    async with open_log(PLENTY) as harness:
        assert await harness.log.claim(NameOwner("bob", BOB, b"h" * 32, EPOCH_NS), None)
        assert await harness.log.owner("ann") is None


@pytest.mark.parametrize("open_log", IMPLEMENTATIONS)
async def test_of_those_who_saw_a_name_free_the_first_gets_it(open_log: OpenLog) -> None:
    async with open_log(PLENTY) as harness:
        first = NameOwner("ann", ANN, b"a" * 32, EPOCH_NS)
        second = NameOwner("ann", BOB, b"b" * 32, EPOCH_NS)
        claims = (harness.log.claim(first, None), harness.log.claim(second, None))
        granted = tuple(await asyncio.gather(*claims))
        assert granted == (True, False)
        assert await harness.log.owner("ann") == first


@pytest.mark.parametrize("open_log", IMPLEMENTATIONS)
async def test_of_those_who_saw_the_same_owner_the_first_gets_the_name(open_log: OpenLog) -> None:
    async with open_log(PLENTY) as harness:
        owner = NameOwner("ann", ANN, b"a" * 32, EPOCH_NS)
        later = NameOwner("ann", BOB, b"b" * 32, EPOCH_NS + 1)
        latest = NameOwner("ann", CAROL, b"c" * 32, EPOCH_NS + 1)
        assert await harness.log.claim(owner, None)
        assert await harness.log.claim(later, owner)
        assert not await harness.log.claim(latest, owner)
        assert await harness.log.owner("ann") == later


@pytest.mark.parametrize("open_log", IMPLEMENTATIONS)
async def test_the_owner_is_the_same_whenever_it_was_last_here(open_log: OpenLog) -> None:
    async with open_log(PLENTY) as harness:
        owner = NameOwner("ann", ANN, b"a" * 32, EPOCH_NS)
        await harness.log.claim(owner, None)
        harness.log.record_seen("ann", ANN, EPOCH_NS + 7)
        assert await harness.log.claim(NameOwner("ann", BOB, b"b" * 32, EPOCH_NS + 9), owner)


@pytest.mark.parametrize("open_log", IMPLEMENTATIONS)
async def test_nobody_takes_the_place_of_one_who_was_never_there(open_log: OpenLog) -> None:
    async with open_log(PLENTY) as harness:
        ann = NameOwner("ann", ANN, b"a" * 32, EPOCH_NS)
        assert not await harness.log.claim(NameOwner("ann", BOB, b"b" * 32, EPOCH_NS), ann)
        assert await harness.log.owner("ann") is None


@pytest.mark.parametrize("open_log", IMPLEMENTATIONS)
async def test_recording_keeps_when_the_owner_was_here(open_log: OpenLog) -> None:
    async with open_log(PLENTY) as harness:
        await harness.log.claim(NameOwner("ann", ANN, b"a" * 32, EPOCH_NS), None)
        harness.log.record_seen("ann", ANN, EPOCH_NS + 7)
        touched = NameOwner("ann", ANN, b"a" * 32, EPOCH_NS + 7)
        assert await harness.log.owner("ann") == touched
        await fill(harness, new_message())
        assert await harness.log.owner("ann") == touched


@pytest.mark.parametrize("open_log", IMPLEMENTATIONS)
async def test_recording_a_name_that_another_holds_changes_nothing(open_log: OpenLog) -> None:
    async with open_log(PLENTY) as harness:
        held = NameOwner("ann", ANN, b"a" * 32, EPOCH_NS)
        await harness.log.claim(held, None)
        harness.log.record_seen("ann", BOB, EPOCH_NS + 7)
        harness.log.record_seen("nobody", BOB, EPOCH_NS + 7)
        await fill(harness, new_message())
        assert await harness.log.owner("ann") == held
        assert await harness.log.owner("nobody") is None
