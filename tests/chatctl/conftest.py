"""A scripted server, and a home directory of its own for what chatctl keeps."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatctl.cli import config
from tests.support.scripted_server import ScriptedServer, scripted


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    """A server that does what the test says."""
    async with scripted() as running:
        yield running


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Where a client keeps what the next one goes on with."""
    return tmp_path / "state"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let nothing that the person who runs the tests has set be seen, or changed."""
    for name in config.Settings._fields:
        monkeypatch.delenv(f"CHATCTL_{name.upper()}", raising=False)
    monkeypatch.delenv("CHATCTL_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("LOGNAME", f"tester-{secrets.token_hex(4)}")
    return tmp_path
