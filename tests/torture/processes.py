"""The processes that the supervisor starts, kills, pauses and starts again."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

START_TIMEOUT: Final = 60.0
"""Seconds (s) a daemon may take to listen on a busy machine."""

_MAX_OUTPUT: Final = 300


class ManagedProcess:
    """A child process that is restarted; `stderr` is the file for its stderr, over all restarts.

    What it must not do, such as end by itself, is added to `failures`.
    """

    def __init__(
        self, name: str, command: Sequence[str], stderr: Path, failures: list[str]
    ) -> None:
        self.name = name
        self._command = command
        self._stderr = stderr
        self._failures = failures
        self._process: Process | None = None
        self._pidfd = -1

    async def start(self) -> None:
        """Start it; its standard input is open until `stop`."""
        with self._stderr.open("ab") as file:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=PIPE, stdout=PIPE, stderr=file
            )
        self._pidfd = os.pidfd_open(self._process.pid)

    async def wait_until_listening(self) -> str:
        """Wait for the first line on standard output and return it; "" where none came."""
        assert self._process is not None
        assert self._process.stdout is not None
        line = b""
        with suppress(TimeoutError):
            async with asyncio.timeout(START_TIMEOUT):
                line = await self._process.stdout.readline()
        if not line:
            self._record_failure("does not listen")
        return line.decode()

    async def kill(self) -> None:
        """Send SIGKILL and wait for its end."""
        if self._process is not None:
            self._send(signal.SIGKILL)
            code = await self._process.wait()
            self._release()
            if code != -signal.SIGKILL:
                self._record_failure(f"ended by itself with code {code}")

    def pause(self) -> bool:
        """Send SIGSTOP; return whether the process was running."""
        return self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """Send SIGCONT."""
        self._send(signal.SIGCONT)

    async def stop(self, number: signal.Signals | None, within: float) -> None:
        """End its input, or send it a signal, and wait up to `within` s until it has ended well."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        if number is None:
            self._process.stdin.close()
        else:
            self._send(number)
        try:
            async with asyncio.timeout(within):
                code = await self._process.wait()
        except TimeoutError:
            self._record_failure(f"did not end within {within:g} s")
            await self.kill()
        else:
            self._release()
            if code != 0:
                self._record_failure(f"ended with code {code}")

    def _send(self, number: signal.Signals) -> bool:
        if self._process is None or self._process.returncode is not None:
            return False
        # Process.send_signal may reap the child, and asyncio then never sees its exit code.
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)
        return True

    def _release(self) -> None:
        os.close(self._pidfd)
        self._process = None

    def _record_failure(self, what: str) -> None:
        output = self._stderr.read_text(errors="replace").strip()[-_MAX_OUTPUT:]
        self._failures.append(f"{self.name} {what}: {output}" if output else f"{self.name} {what}")


async def run(*command: str) -> tuple[int, str]:
    """Run a program to its end; return its exit code and its output on stdout and stderr."""
    running = await asyncio.create_subprocess_exec(
        *command, stdin=DEVNULL, stdout=PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await running.communicate()
    assert running.returncode is not None
    return running.returncode, output.decode(errors="replace").strip()
