"""Programs that the supervisor starts, kills, stops and starts again."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

START: Final = 30.0
"""Seconds (s) a daemon may take to listen on a busy machine."""

_LAST_WORDS: Final = 300


class Charge:
    """One program; `said` is the file that has its stderr, over all its lives.

    What it does that nobody did to it, such as ending by itself, is added to `mishaps`.
    """

    def __init__(self, name: str, command: Sequence[str], said: Path, mishaps: list[str]) -> None:
        self.name = name
        self._command = command
        self._said = said
        self._mishaps = mishaps
        self._running: Process | None = None
        self._descriptor = -1

    async def start(self) -> None:
        """Begin a life; its standard input is open until `end`."""
        with self._said.open("ab") as stderr:
            self._running = await asyncio.create_subprocess_exec(
                *self._command, stdin=PIPE, stdout=PIPE, stderr=stderr
            )
        self._descriptor = os.pidfd_open(self._running.pid)

    async def listening(self) -> str:
        """Wait for the first line on standard output and return it; "" where none came."""
        assert self._running is not None
        assert self._running.stdout is not None
        line = b""
        with suppress(TimeoutError):
            async with asyncio.timeout(START):
                line = await self._running.stdout.readline()
        if not line:
            self._note("does not listen")
        return line.decode()

    async def kill(self) -> None:
        """End it without a word."""
        if self._running is not None:
            self._send(signal.SIGKILL)
            code = await self._running.wait()
            self._forget()
            if code != -signal.SIGKILL:
                self._note(f"ended by itself with code {code}")

    def pause(self) -> bool:
        """Stop it where it is, until `go_on`; tell whether there was anything to stop."""
        return self._send(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it run again."""
        self._send(signal.SIGCONT)

    async def end(self, number: signal.Signals | None, within: float) -> None:
        """End its input, or send it a signal, and wait up to `within` s until it has ended well."""
        if self._running is None:
            return
        assert self._running.stdin is not None
        if number is None:
            self._running.stdin.close()
        else:
            self._send(number)
        try:
            async with asyncio.timeout(within):
                code = await self._running.wait()
        except TimeoutError:
            self._note(f"did not end within {within:g} s")
            await self.kill()
        else:
            self._forget()
            if code != 0:
                self._note(f"ended with code {code}")

    def _send(self, number: signal.Signals) -> bool:
        if self._running is None or self._running.returncode is not None:
            return False
        # Not Process.send_signal: that may collect the exit code, which asyncio then never learns.
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, number)
        return True

    def _forget(self) -> None:
        os.close(self._descriptor)
        self._running = None

    def _note(self, what: str) -> None:
        words = self._said.read_text(errors="replace").strip()[-_LAST_WORDS:]
        self._mishaps.append(f"{self.name} {what}: {words}" if words else f"{self.name} {what}")


async def run(*command: str) -> tuple[int, str]:
    """Run a program to its end; return its exit code and what it said on either output."""
    running = await asyncio.create_subprocess_exec(
        *command, stdin=DEVNULL, stdout=PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await running.communicate()
    assert running.returncode is not None
    return running.returncode, said.decode(errors="replace").strip()
