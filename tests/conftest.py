"""Settings of all tests.

Hypothesis repeats its examples, so that what fails in CI fails at home. Programs that tests start
come from this checkout, whatever is installed, and end at Ctrl-C, even if a shell started the tests
in the background and had them ignore it. No test depends on the speed of the machine.
"""

import logging
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

from tests.support.daemon_process import Daemon, RawClient, logged_in
from tests.support.ports import reserve_port
from tests.support.processes import kill_all
from tests.support.programs import missing_programs
from tests.support.terminal import Terminals

_CHECKOUT = str(Path(__file__).parent.parent)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (_CHECKOUT, os.getenv("PYTHONPATH"))))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # which programs would inherit
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A slow machine fails no test, neither by itself nor by what asyncio logs about it.
_UNTIMED: Final = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
logging.getLogger("asyncio").addFilter(lambda record: "Executing " not in str(record.msg))

settings.register_profile("repeatable", _UNTIMED, derandomize=True)
settings.register_profile("explore", _UNTIMED, derandomize=False)
settings.load_profile("repeatable")


@pytest.fixture
def reserved_port() -> Iterator[int]:
    """A port of loopback on which daemons of the test may listen one after another."""
    with reserve_port() as port:
        yield port


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for the tests of a module, each of which uses names of its own."""
    running = Daemon(tmp_path_factory.mktemp("chatd"))
    yield running
    running.stop()


@pytest.fixture
def bob(daemon: Daemon) -> Iterator[RawClient]:
    """A client of the original protocol that is logged in during a test."""
    with logged_in(daemon.address, "bob") as client:
        yield client


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Terminals]:
    """Terminals with a home directory of their own, which are closed at the end."""
    with Terminals(tmp_path) as opened:
        yield opened


@pytest.fixture(autouse=True, scope="session")
def _processes() -> Iterator[None]:
    """Let no process outlive the tests, though a test failed before it ended it."""
    yield
    kill_all()


@pytest.hookimpl(wrapper=True, tryfirst=True)  # so that it is the last that is printed
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None]:
    """List what to install for the tests that were skipped."""
    yield
    lines = list(missing_programs(terminalreporter.stats.get("skipped", [])))
    if lines:
        terminalreporter.section("missing programs", yellow=True)
    for line in lines:
        terminalreporter.write_line(line)
