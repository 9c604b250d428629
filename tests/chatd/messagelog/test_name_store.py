"""The contract of `NameStore`, which every implementation passes."""

import asyncio

import pytest

from chatd.messagelog.base import NameOwner
from tests.support.fakes import EPOCH_NS
from tests.support.log_harness import (
    ANN,
    BOB,
    CAROL,
    IMPLEMENTATIONS,
    PLENTY,
    OpenLog,
    fill,
    new_message,
)


@pytest.mark.parametrize("open_log", IMPLEMENTATIONS)
async def test_a_name_that_nobody_claimed_has_no_owner(open_log: OpenLog) -> None:
    async with open_log(PLENTY) as harness:
        assert await harness.names.claim(NameOwner("bob", BOB, b"h" * 32, EPOCH_NS), None)
        assert await harness.names.owner("ann") is None


@pytest.mark.parametrize("open_log", IMPLEMENTATIONS)
async def test_of_those_who_saw_a_name_free_the_first_gets_it(open_log: OpenLog) -> None:
    async with open_log(PLENTY) as harness:
        first = NameOwner("ann", ANN, b"a" * 32, EPOCH_NS)
        second = NameOwner("ann", BOB, b"b" * 32, EPOCH_NS)
        claims = (harness.names.claim(first, None), harness.names.claim(second, None))
        granted = tuple(await asyncio.gather(*claims))
        assert granted == (True, False)
        assert await harness.names.owner("ann") == first


@pytest.mark.parametrize("open_log", IMPLEMENTATIONS)
async def test_of_those_who_saw_the_same_owner_the_first_gets_the_name(open_log: OpenLog) -> None:
    async with open_log(PLENTY) as harness:
        owner = NameOwner("ann", ANN, b"a" * 32, EPOCH_NS)
        later = NameOwner("ann", BOB, b"b" * 32, EPOCH_NS + 1)
        latest = NameOwner("ann", CAROL, b"c" * 32, EPOCH_NS + 1)
        assert await harness.names.claim(owner, None)
        assert await harness.names.claim(later, owner)
        assert not await harness.names.claim(latest, owner)
        assert await harness.names.owner("ann") == later


@pytest.mark.parametrize("open_log", IMPLEMENTATIONS)
async def test_the_owner_is_the_same_whenever_it_was_last_online(open_log: OpenLog) -> None:
    async with open_log(PLENTY) as harness:
        owner = NameOwner("ann", ANN, b"a" * 32, EPOCH_NS)
        await harness.names.claim(owner, None)
        harness.names.record_seen("ann", ANN, EPOCH_NS + 7)
        assert await harness.names.claim(NameOwner("ann", BOB, b"b" * 32, EPOCH_NS + 9), owner)


@pytest.mark.parametrize("open_log", IMPLEMENTATIONS)
async def test_nobody_replaces_an_owner_who_never_owned_the_name(open_log: OpenLog) -> None:
    async with open_log(PLENTY) as harness:
        ann = NameOwner("ann", ANN, b"a" * 32, EPOCH_NS)
        assert not await harness.names.claim(NameOwner("ann", BOB, b"b" * 32, EPOCH_NS), ann)
        assert await harness.names.owner("ann") is None


@pytest.mark.parametrize("open_log", IMPLEMENTATIONS)
async def test_recording_keeps_when_the_owner_was_online(open_log: OpenLog) -> None:
    async with open_log(PLENTY) as harness:
        await harness.names.claim(NameOwner("ann", ANN, b"a" * 32, EPOCH_NS), None)
        harness.names.record_seen("ann", ANN, EPOCH_NS + 7)
        seen = NameOwner("ann", ANN, b"a" * 32, EPOCH_NS + 7)
        assert await harness.names.owner("ann") == seen
        await fill(harness, new_message())
        assert await harness.names.owner("ann") == seen


@pytest.mark.parametrize("open_log", IMPLEMENTATIONS)
async def test_recording_a_name_that_another_owns_changes_nothing(open_log: OpenLog) -> None:
    async with open_log(PLENTY) as harness:
        held = NameOwner("ann", ANN, b"a" * 32, EPOCH_NS)
        await harness.names.claim(held, None)
        harness.names.record_seen("ann", BOB, EPOCH_NS + 7)
        harness.names.record_seen("nobody", BOB, EPOCH_NS + 7)
        await fill(harness, new_message())
        assert await harness.names.owner("ann") == held
        assert await harness.names.owner("nobody") is None
