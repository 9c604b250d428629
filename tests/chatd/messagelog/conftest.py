"""Logs may have threads of their own, which no virtual time waits for."""

import asyncio
from collections.abc import Callable, Mapping


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"real time": asyncio.new_event_loop}
