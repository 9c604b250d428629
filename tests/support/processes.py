"""Processes that a test starts, and conditions on other processes that it waits for."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final, NamedTuple

TIMEOUT: Final = 60.0
"""Seconds (s) for what takes milliseconds on an idle machine."""

_POLL_INTERVAL: Final = 0.01

_running: Final[list[subprocess.Popen[str]]] = []


class CommandResult(NamedTuple):
    """The exit code of a program, and what it printed."""

    code: int
    out: str
    err: str


def start(
    command: Sequence[str],
    *,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.PIPE,
    stderr: int | IO[bytes] = subprocess.PIPE,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[str]:
    """Start a program with `environment` added to that of the tests."""
    process = subprocess.Popen(
        command,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        text=True,
        bufsize=1,
        env={**os.environ, **(environment or {})},
    )
    _running[:] = [*(each for each in _running if each.poll() is None), process]
    return process


def finish(process: subprocess.Popen[str]) -> CommandResult:
    """Wait for the end of a program that `start` started; return what was not read before."""
    out, err = process.communicate(timeout=TIMEOUT)
    return CommandResult(process.returncode, out or "", err or "")


def run(
    command: Sequence[str],
    *,
    stdin: str | bytes = "",
    stdout: int | IO[bytes] = subprocess.PIPE,
    environment: Mapping[str, str] | None = None,
) -> CommandResult:
    """Run a program to its end."""
    done = subprocess.run(
        command,
        input=stdin if isinstance(stdin, bytes) else stdin.encode(),
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
        timeout=TIMEOUT,
        check=False,
    )
    return CommandResult(done.returncode, (done.stdout or b"").decode(), done.stderr.decode())


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a program and wait for its end."""
    process.kill()
    process.communicate(timeout=TIMEOUT)


def kill_all() -> None:
    """Kill the programs that `start` started and that failed tests left running."""
    for process in _running:
        kill(process)


def wait_until(condition: Callable[[], object], problem: Callable[[], str] = str) -> None:
    """Wait until `condition` holds; `problem` explains a timeout.

    Nothing reports the progress of another process, so this polls.
    """
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, problem()
        time.sleep(_POLL_INTERVAL)


def is_asleep(pid: int) -> bool:
    """Whether the process has nothing to do: 100 samples in a row find it sleeping (proc(5))."""
    return all(_state(pid) == "S" for _ in range(100))


def is_stopped(pid: int) -> bool:
    """Whether SIGSTOP has taken effect."""
    return _state(pid) == "T"


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
