"""A real daemon, and a home of its own for what chatctl keeps."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatctl import settings
from tests.e2e.daemon import Daemon


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for the tests of a module; names are theirs to keep apart."""
    running = Daemon(tmp_path_factory.mktemp("chatd"))
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let nothing that the person who runs the tests has set be seen, or changed."""
    for name in settings.Settings._fields:
        monkeypatch.delenv(f"CHATCTL_{name.upper()}", raising=False)
    monkeypatch.delenv("CHATCTL_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("LOGNAME", f"tester-{secrets.token_hex(4)}")
    return tmp_path
