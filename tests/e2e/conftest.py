"""Daemons for end-to-end tests."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.support.daemon_process import Daemon, RawClient, logged_in
from tests.support.share_peers import ShareProcess, StartShare
from tests.support.terminal import Terminals


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


@pytest.fixture
def bob(daemon: Daemon) -> Iterator[RawClient]:
    """Somebody with a client of the original protocol."""
    with logged_in(daemon.address, "bob") as client:
        yield client


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Terminals]:
    """Terminals with a home directory of their own, which are closed at the end."""
    with Terminals(tmp_path) as opened:
        yield opened


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where a client writes the stamps of an exchange."""
    return tmp_path / "times.txt"


@pytest.fixture
async def start_share(tmp_path: Path) -> AsyncIterator[StartShare]:
    """Start peers, each in a directory of its own; what still runs in the end is killed."""
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
