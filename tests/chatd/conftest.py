"""What the tests of the daemon share."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from tests.chatd.stage import Stage
from tests.chatd.virtual_time import VirtualTimeLoop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"virtual time": VirtualTimeLoop}


@pytest.fixture
async def stage() -> Stage:
    """Return a stage with nobody on it."""
    empty = Stage()
    await empty.open()
    return empty
