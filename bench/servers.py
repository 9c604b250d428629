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

from bench import host
from bench.competitors.base import CONFIG
from bench.competitors.c_baseline import CBaseline
from bench.competitors.irtt import Irtt
from bench.competitors.mosquitto import Mosquitto
from bench.competitors.nats import JetStream, JetStreamAlways, Nats
from bench.competitors.ngircd import Ngircd
from bench.competitors.redis import Redis
from bench.durable_protocol import ChatdDurableProtocol
from bench.errors import BenchError, StartError
from bench.host import pinned
from bench.measure import Target
from bench.protocols import DELAY, DELAY_SEED, ChatdProtocol, WireProtocol
from common import __version__

_HOST: Final = "127.0.0.1"
_START_S: Final = 10.0
_PROBE_S: Final = 0.02  # between two checks whether it listens
_STOP_S: Final = 10.0
_OUTPUT_SHOWN: Final = 2_000  # characters of a server's last output that are shown


class Candidate(Protocol):
    """A server that can be measured."""

    @property
    def name(self) -> str:
        """What the tables call it."""
        ...

    @property
    def protocol(self) -> WireProtocol:
        """The wire protocol it serves."""
        ...

    def unavailable_reason(self) -> str | None:
        """Return why it cannot be measured here and what to do about it, or None."""
        ...

    def version(self) -> str:
        """Return which one is measured."""
        ...

    def command(self, directory: Path, port: str) -> list[str]:
        """Return the command that starts it on `port` of loopback, in the foreground."""
        ...

    def settings(self, directory: Path, port: str) -> str:
        """Return the content of `CONFIG` in `directory`; "" if the command line says all."""
        ...


class Chatd:
    """chatd as it is installed or checked out here, with the in-memory log."""

    name: ClassVar[str] = "chatd"
    protocol: ChatdProtocol = ChatdProtocol()
    log: ClassVar[tuple[str, ...]] = ("--log", "memory")

    def unavailable_reason(self) -> str | None:
        """It is always here."""
        return None

    def version(self) -> str:
        """Return the version that chatd reports."""
        return __version__

    def command(self, directory: Path, port: str) -> list[str]:
        """Return `python -m chatd` with limits that allow the loads."""
        return [
            sys.executable, "-m", "chatd", "--host", "127.0.0.1", "--port", port,
            "--data", str(directory), "--log-level", "warning", "--max-connections", "15000",
            "--delay", "{}:{}".format(*DELAY), "--delay-seed", str(DELAY_SEED), *self.log,
        ]  # fmt: skip

    def settings(self, _directory: Path, _port: str) -> str:
        """Nothing: the command line has it all."""
        return ""


class ChatdProcess(Chatd):
    """chatd with its log in SQLite, in which messages survive the end of the process."""

    name = "chatd-process"
    protocol = ChatdDurableProtocol()
    log = ("--durability", "process")


class ChatdPower(ChatdProcess):
    """The same, in which they survive a power cut: its default."""

    name = "chatd-power"
    log = ("--durability", "power")


CANDIDATES: Final[tuple[Candidate, ...]] = (
    Chatd(),
    CBaseline(),
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

    Whatever BenchError ends it carries the last output of the server.
    """
    with tempfile.TemporaryDirectory(prefix=f"bench-{candidate.name}-") as name:
        directory, port = Path(name), _free_port()
        (directory / CONFIG).write_text(candidate.settings(directory, str(port)))
        with (directory / "output").open("w") as output, pinned(core):
            process = subprocess.Popen(
                candidate.command(directory, str(port)), stdout=output, stderr=output
            )
        try:
            _wait_until_it_listens(process, port)
            yield Target(host=_HOST, port=port, pid=process.pid, protocol=candidate.protocol)
        except BenchError as error:
            last_output = (
                (directory / "output").read_text(errors="replace").strip()[-_OUTPUT_SHOWN:]
            )
            raise type(error)(f"{error}\n{last_output}".rstrip()) from None
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
            raise StartError(f"it did not start: it ended with exit code {process.returncode}")
        if host.is_bound(port):
            return
        time.sleep(_PROBE_S)  # there is no event for when another program listens
    raise StartError(f"it did not listen on port {port} within {_START_S:g} s")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
