"""The servers that are measured: each started on a core of its own, and ended again."""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Final, Protocol

from bench import proc
from bench.dialects import DELAY, DELAY_SEED, ChatdDialect, Dialect
from bench.failures import BenchError, StartFailed
from bench.foreign.irtt import Irtt
from bench.foreign.jetstream import JetStream, JetStreamAlways
from bench.foreign.limit import Limit
from bench.foreign.mosquitto import Mosquitto
from bench.foreign.nats import Nats
from bench.foreign.ngircd import Ngircd
from bench.foreign.program import CONFIG
from bench.foreign.redis import Redis
from bench.keeping import KeepingDialect
from bench.machine import pinned
from bench.measurement import Target
from common.version import version

_HOST: Final = "127.0.0.1"
_START_S: Final = 10.0
_PROBE_S: Final = 0.02  # between two looks whether it listens
_STOP_S: Final = 10.0
_SAID: Final = 2_000  # characters of a server's last words that are shown


class Candidate(Protocol):
    """A server that can be measured."""

    @property
    def name(self) -> str:
        """What the tables call it."""
        ...

    @property
    def dialect(self) -> Dialect:
        """How it is spoken to."""
        ...

    def obstacle(self) -> str | None:
        """Return why it cannot be measured here and what to do about it, or None."""
        ...

    def version(self) -> str:
        """Return which one is measured."""
        ...

    def command(self, directory: Path, port: str) -> list[str]:
        """Return the command that starts it on `port` of loopback, in the foreground."""
        ...

    def settings(self, directory: Path, port: str) -> str:
        """Return what is written into `CONFIG` in `directory`; nothing if the command tells all."""
        ...


class Chatd:
    """chatd as it is installed or checked out here, with the in-memory log."""

    name: ClassVar[str] = "chatd"
    dialect: ChatdDialect = ChatdDialect()
    log: ClassVar[tuple[str, ...]] = ("--log", "memory")

    def obstacle(self) -> str | None:
        """It is always here."""
        return None

    def version(self) -> str:
        """Return the version as chatd tells it."""
        return version()

    def command(self, directory: Path, port: str) -> list[str]:
        """Return `python -m chatd` with limits that allow the loads."""
        return [
            sys.executable, "-m", "chatd", "--host", "127.0.0.1", "--port", port,
            "--data", str(directory), "--log-level", "warning", "--max-connections", "15000",
            "--delay", "{}:{}".format(*DELAY), "--delay-seed", str(DELAY_SEED), *self.log,
        ]  # fmt: skip

    def settings(self, _directory: Path, _port: str) -> str:
        """The command tells all."""
        return ""


class ChatdProcess(Chatd):
    """chatd with its log in SQLite, in which messages survive the end of the process."""

    name = "chatd-process"
    dialect = KeepingDialect()
    log = ("--durability", "process")


class ChatdPower(ChatdProcess):
    """The same, in which they survive a power cut: its default."""

    name = "chatd-power"
    log = ("--durability", "power")


CANDIDATES: Final[tuple[Candidate, ...]] = (
    Chatd(),
    Limit(),
    Nats(),
    Redis(),
    Mosquitto(),
    Ngircd(),
    Irtt(),
    ChatdProcess(),
    JetStream(),
    ChatdPower(),
    JetStreamAlways(),
)


@contextmanager
def running(candidate: Candidate, core: int) -> Iterator[Target]:
    """Run `candidate` on `core` in a directory that ends with it.

    A BenchError, be it that it does not start or one of the caller's, is told with what the
    server had to say.
    """
    with tempfile.TemporaryDirectory(prefix=f"bench-{candidate.name}-") as name:
        directory, port = Path(name), _free_port()
        (directory / CONFIG).write_text(candidate.settings(directory, str(port)))
        with (directory / "said").open("w") as said, pinned(core):
            process = subprocess.Popen(
                candidate.command(directory, str(port)), stdout=said, stderr=said
            )
        try:
            _wait_until_it_listens(process, port)
            yield Target(host=_HOST, port=port, pid=process.pid, dialect=candidate.dialect)
        except BenchError as failure:
            words = (directory / "said").read_text(errors="replace").strip()[-_SAID:]
            raise type(failure)(f"{failure}\n{words}".rstrip()) from None
        finally:
            _stop(process)


def _free_port() -> int:
    """Return a port of loopback that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise StartFailed(f"it did not start: it ended with exit code {process.returncode}")
        if proc.is_bound(port):
            return
        time.sleep(_PROBE_S)  # nothing tells when a stranger's server listens
    raise StartFailed(f"it did not listen on port {port} within {_START_S:g} s")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
