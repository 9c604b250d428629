"""What the tests of the daemon share."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from tests.support.fake_time import VirtualTimeLoop
from tests.support.service_harness import ServiceHarness


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"virtual time": VirtualTimeLoop}


@pytest.fixture
async def harness() -> ServiceHarness:
    """Return a harness without clients."""
    empty = ServiceHarness()
    await empty.open()
    return empty
