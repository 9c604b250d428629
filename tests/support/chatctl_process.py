"""The command ``chatctl`` as a process of its own."""

import subprocess
import sys
from pathlib import Path
from typing import IO, Final, Protocol

from tests.support import processes
from tests.support.processes import CommandResult

# Without -X dev: asyncio would report on stderr how slow a busy machine is.
_CHATCTL: Final = (sys.executable, "-W", "error", "-m", "chatctl")


class ServerAddress(Protocol):
    """Where a command connects to."""

    host: str
    port: int


def run(
    *arguments: str, daemon: ServerAddress | None = None, stdin: str | bytes = ""
) -> CommandResult:
    """Run a command to its end."""
    result = processes.run([*_CHATCTL, *arguments], stdin=stdin, environment=_environment(daemon))
    return _without_asyncio_remarks(result)


def begin(
    *arguments: str,
    daemon: ServerAddress,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.PIPE,
) -> subprocess.Popen[str]:
    """Start a command; its first line on stderr says that it is ready."""
    command = [*_CHATCTL, *arguments]
    return processes.start(command, stdin=stdin, stdout=stdout, environment=_environment(daemon))


def finish(command: subprocess.Popen[str]) -> CommandResult:
    """Wait for the end of a command that `begin` started."""
    return _without_asyncio_remarks(processes.finish(command))


def token_in(state: Path) -> str:
    """Return the only token that is kept in a state directory."""
    (token,) = (file for file in state.rglob("identities/*") if not file.suffix)
    return token.read_text().strip()


def _environment(daemon: ServerAddress | None) -> dict[str, str]:
    return {} if daemon is None else {"CHATCTL_SERVER": f"{daemon.host}:{daemon.port}"}


def _without_asyncio_remarks(result: CommandResult) -> CommandResult:
    """Return what the command printed, without asyncio's remarks that the machine is busy."""
    lines = result.err.splitlines(keepends=True)
    err = "".join(line for line in lines if not line.startswith("Executing <"))
    return result._replace(err=err)
