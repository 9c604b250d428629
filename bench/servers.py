"""The servers that are measured: each started on a core of its own, and ended again."""

import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import IO, Protocol

from bench.dialects import DELAY, DELAY_SEED, ChatdDialect, Dialect
from bench.failures import BenchError, StartFailed
from bench.machine import pinned
from bench.measurement import Target
from common.version import version

_START_S = 10.0
_STOP_S = 10.0
_SAID = 2_000  # characters of a server's last words that are shown


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

    def version(self) -> str:
        """Return which one is measured."""
        ...

    def command(self, directory: Path) -> list[str]:
        """Return the command that starts it in the foreground, with `directory` as its own."""
        ...

    def address(self, process: subprocess.Popen[str]) -> tuple[str, int]:
        """Wait until the server listens; return host and port."""
        ...


class Chatd:
    """chatd as it is installed or checked out here, with the in-memory log."""

    name = "chatd"
    dialect = ChatdDialect()

    def version(self) -> str:
        """Return the version as chatd tells it."""
        return version()

    def command(self, directory: Path) -> list[str]:
        """Return `python -m chatd` on a free port of loopback."""
        return [
            sys.executable, "-m", "chatd", "--host", "127.0.0.1", "--port", "0",
            "--data", str(directory), "--log-level", "warning", "--max-connections", "30000",
            "--delay", "{}:{}".format(*DELAY), "--delay-seed", str(DELAY_SEED),
        ]  # fmt: skip

    def address(self, process: subprocess.Popen[str]) -> tuple[str, int]:
        """Return what the first line on standard output says."""
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], _START_S)
        line = process.stdout.readline() if readable else ""
        if not line.startswith("listening on "):
            raise StartFailed(
                f"it did not start: expected 'listening on HOST:PORT', heard {line!r}"
            )
        host, _, port = line.split()[-1].rpartition(":")
        return host, int(port)


CANDIDATES: tuple[Candidate, ...] = (Chatd(),)


@contextmanager
def running(candidate: Candidate, core: int) -> Iterator[Target]:
    """Run `candidate` on `core` in a directory that ends with it.

    A BenchError, be it that it does not start or one of the caller's, is told with what the
    server had to say.
    """
    with tempfile.TemporaryDirectory(prefix=f"bench-{candidate.name}-") as name:
        directory = Path(name)
        with (directory / "stderr").open("w+") as stderr, pinned(core):
            process = subprocess.Popen(
                candidate.command(directory), stdout=subprocess.PIPE, stderr=stderr, text=True
            )
        try:
            host, port = candidate.address(process)
            Thread(target=_discard, args=[process.stdout], daemon=True).start()
            yield Target(host=host, port=port, pid=process.pid, dialect=candidate.dialect)
        except BenchError as failure:
            said = (directory / "stderr").read_text().strip()[-_SAID:]
            raise type(failure)(f"{failure}\n{said}".rstrip()) from None
        finally:
            _stop(process)


def _discard(stdout: IO[str]) -> None:
    """Keep the pipe empty: a server that cannot print must not stop."""
    for _ in stdout:
        pass


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
