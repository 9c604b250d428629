"""The real daemon as a process, and a raw client of socket and json alone."""

import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

START_TIMEOUT: Final = 60.0
"""Seconds (s) a daemon may take to listen on a busy machine."""

STOP_TIMEOUT: Final = 60.0

TIMEOUT: Final = 60.0
"""Seconds (s) to wait for an answer on a busy machine; a right answer takes a millisecond."""

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


class RawClient:
    """One connection; `receive` waits for the next line."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, TIMEOUT)
        self._lines = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def send_bytes(self, raw: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(raw)

    def send(self, code: str, **fields: Any) -> None:
        """Send one message with its newline."""
        self.send_bytes(json.dumps({"code": code, **fields}).encode() + b"\n")

    def receive_line(self) -> str:
        """Return the next line without its newline, "" at the end."""
        return self._lines.readline().decode().removesuffix("\n")

    def receive(self) -> dict[str, Any]:
        """Return the next message; {} at the end."""
        line = self.receive_line()
        message: dict[str, Any] = json.loads(line) if line else {}
        return message

    def receive_to_end(self) -> list[str]:
        """Return every line up to the end."""
        return [line.decode().removesuffix("\n") for line in self._lines]

    def ask(self, code: str, **fields: Any) -> dict[str, Any]:
        """Send one message and return the next that comes."""
        self.send(code, **fields)
        return self.receive()

    def hello(self, name: str, **fields: Any) -> dict[str, Any]:
        """Say hello and return the welcome."""
        welcome = self.ask("hello", name=name, **fields)
        assert welcome["code"] == "welcome", welcome
        return welcome

    def half_close(self) -> None:
        """Shut down the sending side; go on receiving."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Abort with an RST instead of a FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._lines.close()
        self.socket.close()


@contextmanager
def logged_in(address: tuple[str, int], name: str) -> Iterator[RawClient]:
    """Log in with a client of the original protocol, and out when the block ends."""
    with RawClient(address) as client:
        client.hello(name)
        yield client
        client.send("quit")
        client.receive_to_end()
