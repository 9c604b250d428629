"""The command ``chatctl`` as a process of its own."""

import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Final, NamedTuple, Protocol

TIMEOUT: Final = 60.0
"""Seconds (s) a command may take on a busy machine."""

# Without -X dev: asyncio would tell on stderr how slow a busy machine is.
_CHATCTL: Final = (sys.executable, "-W", "error", "-m", "chatctl")


class ServerAddress(Protocol):
    """Where a command is to connect to."""

    host: str
    port: int


class CommandResult(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


def run(
    *arguments: str, daemon: ServerAddress | None = None, stdin: str | bytes = ""
) -> CommandResult:
    """Run a command to its end."""
    done = subprocess.run(
        [*_CHATCTL, *arguments],
        input=stdin if isinstance(stdin, bytes) else stdin.encode(),
        capture_output=True,
        env=_environment(daemon),
        timeout=TIMEOUT,
        check=False,
    )
    return CommandResult(
        done.returncode, done.stdout.decode(), _without_asyncio_remarks(done.stderr.decode())
    )


def begin(
    *arguments: str, daemon: ServerAddress, stdout: int | IO[bytes] = subprocess.PIPE
) -> subprocess.Popen[str]:
    """Start a command; its first word on stderr says that it is ready."""
    return subprocess.Popen(
        [*_CHATCTL, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(daemon),
    )


def finish(command: subprocess.Popen[str]) -> CommandResult:
    """Wait for the end of a command that was begun."""
    out, err = command.communicate(timeout=TIMEOUT)
    return CommandResult(command.returncode, out, _without_asyncio_remarks(err))


def token_in(state: Path) -> str:
    """Return the only token that is kept in a state directory."""
    (token,) = (file for file in state.rglob("identities/*") if not file.suffix)
    return token.read_text().strip()


def _environment(daemon: ServerAddress | None) -> dict[str, str]:
    if daemon is None:
        return dict(os.environ)
    return {**os.environ, "CHATCTL_SERVER": f"{daemon.host}:{daemon.port}"}


def _without_asyncio_remarks(err: str) -> str:
    """Return what the command said, without asyncio's remarks that the machine is busy."""
    return "".join(
        line for line in err.splitlines(keepends=True) if not line.startswith("Executing <")
    )
