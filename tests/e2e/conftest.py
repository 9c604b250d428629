"""Daemons for end-to-end tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.daemon import Daemon


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for the tests of a module; names are theirs to keep apart."""
    running = Daemon(tmp_path_factory.mktemp("chatd"))
    yield running
    running.stop()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Start daemons with options of one's own; what still runs at the end is stopped."""
    started: list[Daemon] = []

    def start_one(*options: str, is_debugged: bool = True, **environment: str) -> Daemon:
        folder = tmp_path / f"chatd-{len(started)}"
        started.append(Daemon(folder, *options, environment=environment, is_debugged=is_debugged))
        return started[-1]

    yield start_one
    for daemon in started:
        if daemon.process.poll() is None:
            daemon.stop()
        daemon.close()
