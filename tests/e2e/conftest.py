"""Daemons for end-to-end tests."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.support.daemon_process import Daemon
from tests.support.share_peers import ShareProcess, StartShare


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Start daemons with options; those that still run at the end are stopped."""
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


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where a client writes the stamps of an exchange."""
    return tmp_path / "times.txt"


@pytest.fixture
async def start_share(tmp_path: Path) -> AsyncIterator[StartShare]:
    """Start peers, each in a directory of its own; those that still run at the end are killed."""
    started: list[ShareProcess] = []

    async def begin_one(
        identity: str, *arguments: str, daemon: Daemon | None = None, **files: bytes
    ) -> ShareProcess:
        directory = tmp_path / identity
        directory.mkdir(exist_ok=True)
        for name, content in files.items():
            (directory / name).write_bytes(content)
        group = () if "--group" in arguments else ("--group", "run")
        wanted = (*group, "--id", identity, *arguments, *files)
        started.append(await ShareProcess.start(directory, *wanted, daemon=daemon))
        return started[-1]

    yield begin_one
    for sharer in started:
        if sharer.process.returncode is None:
            sharer.process.kill()
        await sharer.process.wait()
        await sharer.stderr()
