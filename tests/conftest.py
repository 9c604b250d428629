"""What all tests share.

Hypothesis repeats itself, so that what fails in CI fails at home. Programs that tests start come
from this checkout, whatever is installed, and wherever they are started.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.ports import reserve_port

_CHECKOUT = str(Path(__file__).parent.parent)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (_CHECKOUT, os.getenv("PYTHONPATH"))))

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", derandomize=False, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture
def reserved_port() -> Iterator[int]:
    """A port of loopback on which daemons of the test may listen one after another."""
    with reserve_port() as port:
        yield port
