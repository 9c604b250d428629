"""The real daemon as a process of its own, for tests that use it over real sockets."""

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

START_TIMEOUT: Final = 60.0
"""Seconds (s) a daemon may take to listen on a busy machine."""

STOP_TIMEOUT: Final = 60.0

_LEAKS_AND_ERRORS: Final = re.compile(
    r"Traceback|Exception ignored|never awaited|never retrieved|ResourceWarning|was destroyed"
)


class Daemon:
    """A running chatd on a free port; `stderr` is its log so far."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        environment: Mapping[str, str] | None = None,
        is_debugged: bool = True,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        """Where it keeps its files."""
        self._log = folder / "stderr.txt"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command(*options, "--data", str(folder), is_debugged=is_debugged),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, **(environment or {})},
            )
        self.first_line = self._read_first_line()
        match = re.fullmatch(r"listening on (.+):(\d+)\n", self.first_line)
        assert match, f"{self.first_line!r} {self.stderr}"
        self.host, self.port = match[1].strip("[]"), int(match[2])

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return self.host, self.port

    @property
    def stderr(self) -> str:
        """What it logged so far."""
        return self._log.read_text()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Stop it as an operator would and return how long that took, in s; it must go well."""
        began = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(STOP_TIMEOUT)
        assert code == 0, self.stderr
        assert not _LEAKS_AND_ERRORS.search(self.stderr), self.stderr
        self.close()
        return time.monotonic() - began

    def kill(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait(STOP_TIMEOUT)
        self.close()

    def close(self) -> None:
        """Release what belonged to a daemon that has ended."""
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read_first_line(self) -> str:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], START_TIMEOUT)
        if not ready:
            self.kill()
            raise AssertionError(f"the daemon does not listen: {self.stderr}")
        return self.process.stdout.readline()


def command(*options: str, is_debugged: bool = False) -> Sequence[str]:
    """Return the command line that starts a daemon on a free port unless `options` name another."""
    debugging = ("-X", "dev", "-W", "error") if is_debugged else ()
    return (sys.executable, *debugging, "-m", "chatd", "--port", "0", *options)
